"""The registry of hospitals: whose key is approved, and which keys never come back."""

import json

import pytest

from common.errors import InputError
from common.security.enrolment import make_enrolment_request
from server.members.registry import Registry, admitted_nodes
from tests.server.coordinator import Coordinator, new_key


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


def test_admitted_are_approved_hospitals_that_flower_knows(coordinator: Coordinator) -> None:
    coordinator.provision()
    registry = Registry(coordinator.folder)
    for hospital, node in (("east", 2**63 + 1), ("west", 7)):
        registry.approve(make_enrolment_request(hospital, new_key()))
        path = coordinator.folder.hospitals / f"{hospital}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "node_id": node}))
    registry.revoke("west")
    assert admitted_nodes(coordinator.folder) == {2**63 + 1: "east"}


@pytest.mark.parametrize("content", ["", "[]", '{"name": "east", "state": "friend"}', '{"name": "west"}', "\xff"])
def test_a_damaged_record_is_named(coordinator: Coordinator, content: str) -> None:
    coordinator.provision()
    path = coordinator.folder.hospitals / "east.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(InputError) as raised:
        Registry(coordinator.folder).hospitals()
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)
