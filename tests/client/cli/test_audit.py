"""`rarefed-hospital audit`: the records as a table or as JSON, and whether the chain is whole."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from client.cli.main import app
from client.rules.audit_log import AuditLog, Event
from client.rules.hospital_file import HospitalFile
from common.errors import InputError
from tests.client.hospital import write_hospital


@pytest.fixture
def hospital(tmp_path: Path) -> HospitalFile:
    hospital = write_hospital(tmp_path, tmp_path)
    log = AuditLog(hospital.audit_log)
    log.append(Event.STARTED)
    log.append(Event.REFUSED, run="1", kind="train", round=3, rule="hours")
    log.append(Event.TESTED, run="1", kind="evaluate", round=4, split="test", images=0, bytes_sent=1_234_000)
    return hospital


def audit(hospital: HospitalFile, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["audit", *arguments, "--file", str(hospital.path)])


def test_the_table_shows_what_was_asked_decided_and_sent(hospital: HospitalFile) -> None:
    lines = audit(hospital, "show").stdout.splitlines()
    assert max(map(len, lines)) <= 100
    (refused,) = [line for line in lines if "refused" in line]
    assert "train 3" in refused
    assert "hours" in refused
    (tested,) = [line for line in lines if "tested" in line]
    assert "evaluate 4 test" in tested
    assert [cell.strip() for cell in tested.split("│")[-4:]] == ["0", "", "1.23 MB", ""]


@pytest.mark.parametrize(("last", "numbers"), [("1", [3]), ("2", [2, 3]), ("0", [1, 2, 3])])
def test_the_last_records_as_json(hospital: HospitalFile, last: str, numbers: list[int]) -> None:
    shown = json.loads(audit(hospital, "show", "--json", "--last", last).stdout)
    assert [record["record"] for record in shown] == numbers


def test_verify_prints_the_head(hospital: HospitalFile) -> None:
    head = AuditLog(hospital.audit_log).verify()
    assert audit(hospital, "verify").stdout == f"3 records, unbroken; head {head}\n"
    assert json.loads(audit(hospital, "verify", "--json").stdout) == {"records": 3, "hash": head.hash}


def test_verify_names_the_record_that_was_changed(hospital: HospitalFile) -> None:
    hospital.audit_log.write_text(hospital.audit_log.read_text().replace("hours", "round"))
    result = audit(hospital, "verify")
    assert isinstance(result.exception, InputError)
    assert "record 2 was changed" in str(result.exception)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_damaged_log_is_shown_with_the_record_that_is_not_what_was_written(
    hospital: HospitalFile, options: list[str]
) -> None:
    lines = hospital.audit_log.read_text().splitlines(keepends=True)
    hospital.audit_log.write_text("".join([lines[0], "5\n", lines[2]]))
    result = audit(hospital, "show", *options)
    assert "tested" in result.stdout
    assert isinstance(result.exception, InputError)
    assert "record 2 is no audit record" in str(result.exception)
