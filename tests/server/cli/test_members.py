"""The coordinator's commands about members, with their answers and exit codes."""

import io
import json
import os
import re
import sys
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from flwr.supercore.primitives.asymmetric import public_key_to_bytes

import server.cli.main
from common.errors import RunError
from common.security.enrolment import read_enrolment_request
from server.flower.control_api import Control
from server.flower.nodes_and_runs import Node
from server.members.registry import Registry
from tests.server.coordinator import APP, Coordinator, new_key

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(coordinator.place)

    def call(*arguments: object, answer: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rarefed-server", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        with pytest.raises(SystemExit) as ended:
            server.cli.main.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def test_a_hospital_is_invited_approved_and_revoked_by_commands(coordinator: Coordinator, run: Run) -> None:
    code, out, _ = run("provision", coordinator.write(), "--app-hash", APP)
    assert code == 0
    assert "kits/east.zip: made" in out
    assert run("provision", coordinator.file, "--app-hash", APP)[1] == "everything is as the file says\n"
    request = coordinator.request("east", new_key())
    code, out, err = run("approve", request, answer="n\n")
    assert (code, err) == (2, "error: not approved: compare the fingerprints over the phone first\n")
    fingerprint = read_enrolment_request(request).fingerprint
    assert fingerprint in out
    assert run("approve", request, "--fingerprint", "SHA256:other")[0] == 2
    assert run("approve", request, "--fingerprint", fingerprint)[0] == 0
    assert run("approve", request, answer="y\n")[0] == 0
    listed = {each["name"]: each for each in json.loads(run("hospitals", "--json")[1])}
    assert listed["east"]["fingerprint"] == fingerprint
    assert {name: each["state"] for name, each in listed.items()} == {"east": "approved", "west": "invited"}
    assert fingerprint in run("hospitals")[1]
    assert run("revoke", "east", answer="n\n")[0] == 2
    assert run("revoke", "east", answer="y\n")[0] == 0
    assert run("revoke", "east")[:2] == (0, "east was revoked before\n")
    assert run("approve", request, "--yes")[0] == 2
    assert run("approve", coordinator.request("east", new_key()), "--yes")[0] == 0
    assert run("renew")[0] == 0


def test_bad_input_is_one_line_and_exit_code_2(coordinator: Coordinator, run: Run) -> None:
    for command in (["hospitals"], ["renew"], ["revoke", "east"], ["approve", "absent.json"]):
        code, _, err = run(*command)
        assert code == 2
        assert "holds no federation" in err
        assert err.count("\n") == 1
    for arguments in (["absent.yaml"], [coordinator.write(), "--app-hash", "abc"]):
        code, _, err = run("provision", *arguments)
        assert (code, err.count("\n")) == (2, 1)
    run("provision", coordinator.file)
    for command in (["revoke", "est"], ["approve", "absent.json"]):
        code, _, err = run(*command)
        assert (code, err.count("\n")) == (2, 1)
    code, _, err = run("approve", coordinator.request("north", new_key()), "--yes")
    assert code == 2
    assert "no hospital of this federation (east, west)" in err


@pytest.mark.parametrize(
    ("named", "mend"),
    [
        ("absent", "No such file or directory; looked for in "),
        ("folder", "Is a directory: name the file in it"),
        ("file/x", "Not a directory; file is a file"),
        ("no/x", "No such file or directory; there is no folder no"),
    ],
)
def test_a_path_that_leads_nowhere_is_one_line_with_the_way_to_mend_it(
    coordinator: Coordinator, run: Run, named: str, mend: str
) -> None:
    coordinator.provision()
    (coordinator.place / "folder").mkdir()
    (coordinator.place / "file").write_text("x")
    for command in ("provision", "approve", "run"):
        code, out, err = run(command, named)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"error: {named}: {mend}")


@pytest.mark.parametrize(
    ("named", "what"),
    [
        ("absent", "does not exist"),
        ("folder", "holds no federation"),
        ("file", "is no folder"),
        ("file/x", "does not exist"),
        ("strange", "holds no federation"),
    ],
)
def test_a_folder_without_a_federation_is_named_for_what_it_is(
    coordinator: Coordinator, run: Run, named: str, what: str
) -> None:
    (coordinator.place / "folder").mkdir()
    (coordinator.place / "strange" / "consortium.yaml").mkdir(parents=True)
    (coordinator.place / "file").write_text("x")
    commands = ("hospitals", "nginx-keys", "renew", "runs", "status", "start", "resume", "logs", "stop", "revoke east")
    for command in commands:
        code, out, err = run(*command.split(), "--folder", named)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"error: {coordinator.place / named} {what}")
        assert "--folder or RAREFED_SERVER_FOLDER" in err


def test_a_folder_of_another_user_says_whose_commands_these_are(
    coordinator: Coordinator, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator.provision()
    look = Path.stat

    def closed(path: Path, **options: bool) -> os.stat_result:
        if path == coordinator.folder.consortium:
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, **options)

    monkeypatch.setattr(Path, "stat", closed)  # root, who may run this, is let in everywhere
    code, _, err = run("hospitals")
    assert (code, err.count("\n")) == (2, 1)
    assert f"{coordinator.folder.root} cannot be read by " in err
    assert "run this as the user of the server" in err


def test_a_registry_that_is_gone_is_no_federation_without_members(coordinator: Coordinator, run: Run) -> None:
    coordinator.provision()
    coordinator.folder.hospitals.rename(coordinator.place / "elsewhere")
    for command in ("hospitals", "nginx-keys", "revoke east"):
        code, out, err = run(*command.split())
        assert (code, out, err.count("\n")) == (2, "", 1), "nginx would shut out all"
        assert f"{coordinator.folder.hospitals} is missing: put it back from a backup" in err


def test_a_damaged_record_is_listed_and_no_script_goes_on(coordinator: Coordinator, run: Run) -> None:
    coordinator.provision()
    run("approve", coordinator.request("west", new_key()), "--yes")
    (coordinator.folder.hospitals / "east.json").write_text('{"name": "east", ')
    code, out, err = run("hospitals")
    assert code == 1
    assert re.search("east +damaged", out)
    assert "west" in out
    assert (err.count("\n"), err.count("east.json: is no hospital's record")) == (1, 1)
    code, out, err = run("hospitals", "--json")
    assert (code, err.count("\n")) == (1, 1)
    assert {each["name"]: each["state"] for each in json.loads(out)} == {"west": "approved", "east": "damaged"}
    code, out, err = run("provision", coordinator.file, "--app-hash", APP)
    assert code == 1
    assert "east.json: is no hospital's record" in out
    assert "everything is as the file says" not in out
    assert err == "error: all is as the file says but the damaged records of hospitals: east\n"
    code, out, err = run("nginx-keys")
    assert (code, out.count("\n"), err.count("\n")) == (1, 1, 1), "nginx would shut out east without a word"
    assert '"west";' in out


def test_to_provision_asks_before_it_revokes(coordinator: Coordinator, run: Run) -> None:
    coordinator.provision()
    coordinator.hospitals = [{"name": "west"}]
    code, out, err = run("provision", coordinator.write(), answer="n\n")
    assert (code, err.count("\n")) == (2, 1)
    assert "names these no longer: east" in out
    code, _, err = run("provision", coordinator.file)
    assert (code, err) == (2, "error: nobody answered, and nothing was done: --yes answers without being asked\n")
    assert {each["state"] for each in json.loads(run("hospitals", "--json")[1])} == {"invited"}
    assert run("provision", coordinator.file, "--yes")[0] == 0
    assert json.loads(run("hospitals", "--json")[1])[0]["state"] == "revoked"


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ([("online", 7)], "east is online with it at this moment"),
        ([("offline", 7), ("online", 8)], "east is not online"),
        (None, "whether east is online is not known"),
    ],
)
def test_to_approve_says_which_key_it_replaces(
    coordinator: Coordinator,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    nodes: list[tuple[str, int]] | None,
    told: str,
) -> None:
    def list_nodes(_: Control) -> list[Node]:
        if nodes is None:
            raise RunError("cannot be reached")
        return [Node(number, "east", b"", status, None, None, None) for status, number in nodes]

    monkeypatch.setattr(Control, "list_nodes", list_nodes)
    coordinator.provision()
    first = coordinator.request("east", new_key())
    former = read_enrolment_request(first).fingerprint
    assert "replaces" not in run("approve", first, "--yes")[1]
    Registry(coordinator.folder).note_node("east", 7)
    assert "replaces" not in run("approve", first, "--yes")[1]
    code, out, _ = run("approve", coordinator.request("east", new_key()), answer="n\n")
    assert code == 2
    assert f"replaces     {former}, approved on " in out
    assert told in out


def test_nobody_is_asked_to_telephone_about_what_would_be_refused(coordinator: Coordinator, run: Run) -> None:
    coordinator.provision()
    request, foreign = coordinator.request("east", key := new_key()), coordinator.request("west", key)
    run("approve", request, "--yes")
    code, out, err = run("approve", foreign, answer="y\n")
    assert (code, out) == (2, "")
    assert "is that of east" in err
    assert run("approve", request, "--images", 40, answer="")[0] == 0, (
        "it is approved with this key: nothing to compare"
    )
    assert run("approve", request, "--fingerprint", "SHA256:other")[:2] == (2, "")
    run("revoke", "east", "--yes")
    code, out, err = run("approve", request, answer="y\n")
    assert (code, out) == (2, "")
    assert "was revoked" in err
    damaged = coordinator.folder.hospitals / "west.json"
    damaged.write_text("{")
    assert run("approve", coordinator.request("west", new_key()), answer="y\n")[:2] == (2, "")


def test_nobody_is_asked_to_telephone_for_a_folder_that_cannot_be_written(coordinator: Coordinator, run: Run) -> None:
    coordinator.provision()
    request = coordinator.request("east", new_key())
    hospitals = coordinator.folder.hospitals
    hospitals.chmod(0o500)
    answers = [] if os.getuid() == 0 else [run("approve", request, answer="y\n")]  # root may write everywhere
    hospitals.chmod(0o700)
    (hospitals / ".lock").unlink()
    (hospitals / ".lock").mkdir()
    for code, out, err in [*answers, run("approve", request, answer="y\n")]:
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert f"{hospitals} cannot be written" in err
        assert "run this as the user of the server" in err


def test_who_is_shut_out_though_the_file_names_it_is_listed_with_the_way_back(
    coordinator: Coordinator, run: Run
) -> None:
    coordinator.provision()
    run("revoke", "east", "--yes")
    told = "east: is revoked since "
    out, err = run("hospitals", "--json")[1:]
    assert [each["state"] for each in json.loads(out)] == ["revoked", "invited"]
    assert told in err
    assert told in run("hospitals")[2]
    east, west = json.loads(run("status", "--json")[1])["hospitals"]
    assert "`rarefed-server approve` its request" in east["plan"]
    assert west["plan"] is None
    assert "rarefed-server approve" in run("status")[1]


def test_images_that_the_file_will_overrule_are_told(coordinator: Coordinator, run: Run) -> None:
    coordinator.hospitals[0]["images"] = 400  # type: ignore[assignment]
    coordinator.provision()
    request = coordinator.request("east", new_key())
    assert "images       400\n" in run("approve", request, "--yes")[1]
    assert (
        "images       500; the consortium file says 400, which counts once"
        in run("approve", request, "--images", 500)[1]
    )


def test_a_hospital_that_left_the_file_is_not_approved(coordinator: Coordinator, run: Run) -> None:
    coordinator.provision()
    coordinator.hospitals = [{"name": "west"}]
    coordinator.provision()
    assert run("approve", coordinator.request("east", new_key()), "--yes")[0] == 2


def test_the_folder_may_come_from_the_environment(
    coordinator: Coordinator, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAREFED_SERVER_FOLDER", str(coordinator.place / "elsewhere"))
    assert run("provision", coordinator.write())[0] == 0
    assert (coordinator.place / "elsewhere" / "pki" / "ca.crt").exists()


def test_nginx_is_told_the_approved_keys_as_supernodes_send_them(coordinator: Coordinator, run: Run) -> None:
    coordinator.provision()
    keys = {name: new_key() for name in ("east", "west")}
    for name, key in keys.items():
        run("approve", coordinator.request(name, key), "--yes")
    run("revoke", "west", "--yes")
    header = b64encode(public_key_to_bytes(keys["east"].public_key())).decode()
    assert run("nginx-keys") == (0, f'"{header}" "east";\n', "")
