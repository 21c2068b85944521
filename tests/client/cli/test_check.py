"""`rarefed-hospital check`: exit codes, JSON, and a table that is narrow and takes no markup from names."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from client.cli.check import render_report
from client.cli.main import app
from client.preflight import checks
from client.preflight.findings import Finding, Report, Status, failed, passed, warn
from client.rules.hospital_file import HospitalFile, read_hospital_file
from client.runner import image_checks
from common.errors import InputError
from common.system.wording import first_few
from tests.client.hospital import write_hospital
from tests.client.preflight.certificates import Authority
from tests.federation.data import manifest

PASSED, WARNED, FAILED = passed("a", "fine"), warn("b", "hm", "look"), failed("c", "bad", "mend")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments])


@pytest.mark.parametrize(
    ("findings", "worst", "codes"),
    [
        ((), Status.PASSED, (0, 0)),
        ((PASSED,), Status.PASSED, (0, 0)),
        ((PASSED, WARNED), Status.WARN, (0, 1)),
        ((FAILED, WARNED, PASSED), Status.FAILED, (1, 1)),
    ],
)
def test_a_report_and_its_exit_code(findings: tuple[Finding, ...], worst: Status, codes: tuple[int, int]) -> None:
    report = Report("north", findings)
    assert report.worst == worst
    assert (report.exit_code(), report.exit_code(strict=True)) == codes


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A hospital in order; what machine the tests run on has no say."""
    monkeypatch.setattr(checks, "MACHINE_CHECKS", ())
    hospital = write_hospital(tmp_path, manifest(tmp_path / "data"))
    hospital.node_key.touch(mode=0o600)
    Authority.make().write(hospital.ca_certificate)
    return str(hospital.path)


def test_the_table(file: str) -> None:
    result = run("--file", file, "--offline")
    assert result.exit_code == 0
    assert "burned-in text" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_json(file: str) -> None:
    result = run("--file", file, "--offline", "--json")
    told = json.loads(result.stdout)
    assert (told["hospital"], told["status"] != "failed", result.exit_code) == ("north", True, 0)
    assert {"check", "status", "found", "mend"} == set(told["findings"][0])


def test_online_it_looks_at_the_connection(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "diagnose_connection", lambda hospital: [failed("TLS", f"of {hospital.server}", "-")])
    result = run("--file", file, "--json")
    assert result.exit_code == 1
    assert "of localhost:8443" in result.stdout


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--strict",), 1)])
def test_warnings(file: str, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int) -> None:
    monkeypatch.setattr(checks, "check_ca_certificate", lambda _: WARNED)
    assert run("--file", file, "--offline", *arguments).exit_code == code


def test_a_hospital_file_that_cannot_be_read(tmp_path: Path) -> None:
    result = run("--file", str(tmp_path / "none.yaml"))
    assert isinstance(result.exception, InputError)
    assert result.exception.exit_code == 2


def test_names_are_no_markup(tmp_path: Path) -> None:
    console = Console(width=100, record=True, file=(tmp_path / "out").open("w"))
    console.print(render_report(Report("north", (warn("files", "[bold]x[/nonsense].png", "rename"),))))
    assert "[bold]x[/nonsense].png" in console.export_text()


def test_many_names_are_counted() -> None:
    assert first_few(["a", "b\n", "c", "d", "e"]) == "a, b , c and 2 more"


def test_an_image_that_takes_the_check_over_finds_no_key(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_checks, "_check", hostile)
    result = run("--file", file, "--offline", "--json")
    (told,) = [found for found in json.loads(result.stdout)["findings"] if found["check"] == "key"]
    assert told["found"] == "PermissionError \\x1b[0m"


def hostile(hospital: HospitalFile, _: bytes) -> bytes:
    try:
        found = hospital.node_key.read_text()
    except OSError as error:
        found = type(error).__name__
    return json.dumps([{"check": "key", "status": "passed", "found": f"{found} \x1b[0m", "mend": ""}]).encode()


@pytest.mark.parametrize(
    "answer",
    [
        *(b"", b"5", b"[]", b"[5]", b'[{"check": "x"}]', b'[{"check":1,"status":2,"found":3,"mend":4}]'),
        *(b"[" * 100_000, json.dumps([asdict(PASSED)] * 101).encode()),
    ],
)
def test_a_check_that_answers_nonsense_has_failed(file: str, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setattr(image_checks, "check_images", lambda hospital: [])
    monkeypatch.setattr(image_checks.json, "dumps", lambda _: answer.decode())
    (found,) = image_checks.check_images_confined(read_hospital_file(Path(file)))
    assert (found.check, found.status) == ("images", Status.FAILED)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can work in another's folder")
def test_root_does_not_work_in_another_s_state_folder(file: str) -> None:
    state = read_hospital_file(Path(file)).state
    os.chown(state, 65534, 65534)
    result = run("--file", file, "--offline")
    assert isinstance(result.exception, InputError)
    assert f"{state} belongs to nobody: run this as that user (`sudo -u nobody ...`)" in str(result.exception)
    assert {path.name for path in state.iterdir()} == {"node.key"}
