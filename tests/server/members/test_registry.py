"""The registry of hospitals: whose key is approved, and which keys never come back."""

import pytest

from common.errors import InputError, RunError
from common.security.enrolment import make_enrolment_request
from server.members.provision import provision
from server.members.registry import Registry
from tests.server.coordinator import APP, Coordinator, new_key


def test_an_approved_key_that_is_revoked_never_comes_back(coordinator: Coordinator) -> None:
    coordinator.provision()
    registry = Registry(coordinator.folder)
    first = make_enrolment_request("east", new_key())
    assert registry.approve(first).state == "approved"
    assert registry.approve(first) == registry.find("east")
    assert registry.revoke("east")
    assert not registry.revoke("east")
    with pytest.raises(InputError, match="--new-key"):
        registry.approve(first)
    second = make_enrolment_request("east", new_key())
    approved = registry.approve(second)
    assert (approved.state, approved.public_key, approved.revoked) == ("approved", second.public_key, None)
    assert approved.revoked_keys == (first.public_key,)


def test_a_new_key_shuts_the_former_one_out(coordinator: Coordinator) -> None:
    coordinator.provision()
    registry = Registry(coordinator.folder)
    requests = [make_enrolment_request("east", new_key()) for _ in range(2)]
    for request in requests:
        approved = registry.approve(request)
    assert approved.revoked_keys == (requests[0].public_key,)
    with pytest.raises(InputError, match="was revoked"):
        registry.approve(requests[0])


def test_a_hospital_s_zone_does_not_damage_its_record(coordinator: Coordinator) -> None:
    coordinator.provision()
    registry = Registry(coordinator.folder)
    signed = make_enrolment_request("east", new_key())
    registry.approve(signed.model_copy(update={"created": "2026-01-02T03:04:05+23:59:59.999999"}))
    assert registry.survey()[1] == {}
    assert registry.hospitals()["east"].state == "approved"


def test_a_key_belongs_to_one_hospital(coordinator: Coordinator) -> None:
    coordinator.provision()
    registry = Registry(coordinator.folder)
    key = new_key()
    registry.approve(make_enrolment_request("east", key))
    with pytest.raises(InputError, match="is that of east"):
        registry.approve(make_enrolment_request("west", key))
    registry.revoke("east")
    with pytest.raises(InputError, match="was revoked"):
        registry.approve(make_enrolment_request("west", key))
    with pytest.raises(InputError, match="no hospital 'wst' in this federation; did you mean west"):
        registry.revoke("wst")


@pytest.mark.parametrize("content", ["", "[]", '{"name": "east", "state": "friend"}', '{"name": "west"}', "\xff"])
def test_a_damaged_record_is_named_and_no_others_concern(coordinator: Coordinator, content: str) -> None:
    coordinator.provision()
    path = coordinator.folder.hospitals / "east.json"
    path.write_text(content, encoding="latin-1")
    registry = Registry(coordinator.folder)
    hospitals, damaged = registry.survey()
    assert list(hospitals) == list(registry.hospitals()) == ["west"]
    (why,) = damaged.values()
    assert why.startswith(f"{path}: ")
    assert "\n" not in why
    assert registry.approve(make_enrolment_request("west", new_key())).state == "approved"
    with pytest.raises(InputError, match=r"east\.json"):
        registry.approve(make_enrolment_request("east", new_key()))
    (coordinator.folder.kits / "west.zip").unlink()
    said: list[str] = []
    with pytest.raises(RunError, match="the damaged records of hospitals: east"):
        provision(coordinator.file, coordinator.folder, APP, said.append)
    assert said[0] == f"hospital east: {why}"
    assert "west.zip: made" in said[1], "all else was done"


def test_images_are_confirmed_by_the_file_or_the_approval_whichever_spoke_last(coordinator: Coordinator) -> None:
    coordinator.provision()
    registry = Registry(coordinator.folder)
    request = make_enrolment_request("east", new_key())
    assert registry.approve(request).images is None
    assert registry.approve(request, images=400).images == 400
    assert registry.approve(request).images == 400
    coordinator.hospitals[0]["images"] = 500  # type: ignore[assignment]
    assert coordinator.provision()[1:] == ["hospital east: images changed from 400 to 500"]
    assert registry.find("east").images == 500
    registry.approve(request, images=600)
    assert coordinator.provision() == ["hospital east: images changed from 600 to 500"]
    del coordinator.hospitals[0]["images"]
    assert all("images changed" not in line for line in coordinator.provision())
    assert registry.find("east").images == 500, "a count that the file does not name stays as it was confirmed"
    coordinator.hospitals[1]["images"] = 30  # type: ignore[assignment]
    assert "hospital west: images changed from none confirmed to 30" in coordinator.provision()
