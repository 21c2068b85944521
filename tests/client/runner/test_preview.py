"""A preview computes for real what would leave, and leaves nothing behind."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from client.cli.options import TABLE_WIDTH
from client.cli.preview import _table
from client.exposure.plan_approval import AskedPlans
from client.rules.audit_log import AuditLog, Event
from client.rules.hospital_file import HospitalFile
from client.runner.preview import Preview, preview
from common.plan.training_plan import TrainingPlan
from common.system.command_line import table_console
from common.system.files import try_lock
from common.training.workbench import workbench
from tests.client.hospital import APP, write_hospital
from tests.federation.data import manifest

RULES = {"apps": [APP], "families": ["efficientnet_lite0"], "least_images": 5, "suppress_below": 0}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return manifest(tmp_path_factory.mktemp("data") / "tiny")


PLAN = TrainingPlan.from_flat(
    {
        "model.weights": "none",
        "model.batch_norm": "train",
        "data.size": 64,
        "data.classes": "healthy,sick",
        "augmentation.views": 2,
        "federation.strategy": "fedbn",
        "federation.rounds": 3,
        "federation.local_epochs": 1,
    }
)


def test_every_answer_is_shown_and_nothing_is_left_behind(data: Path, tmp_path: Path) -> None:
    hospital = write_hospital(tmp_path / "north", data)
    told = preview(hospital, PLAN)
    assert [(one.kind, one.refused) for one in told] == [("query", None), ("train", None), ("evaluate", None)]
    assert told[1].told["update"]["values"] == workbench(PLAN, 2).layout.size
    assert [path.name for path in hospital.state.iterdir()] == ["split.salt"]


def test_what_the_plan_left_to_the_images_is_said_here_alone(data: Path, tmp_path: Path) -> None:
    hospital = write_hospital(tmp_path / "north", data)
    told = preview(hospital, PLAN.changed({"data.denoise": "auto"}))
    chosen = "noise filter (data.denoise=auto): none for all 24 images, which are coloured"
    assert [one.details for one in told] == ["", chosen, ""]
    assert "noise filter" not in str([one.told for one in told])
    assert {one.details for one in preview(hospital, PLAN.changed({"data.denoise": "median"}))} == {""}


def refusing(folder: Path, data: Path, **rules: object) -> HospitalFile:
    return write_hospital(folder, data, rules={**RULES, **rules})


def test_a_rule_that_refuses_is_named(data: Path, tmp_path: Path) -> None:
    told = preview(refusing(tmp_path, data, rounds=2), PLAN)
    assert {one.refused for one in told} == {"refused by rule rounds"}
    assert told[0].details == f"rules.rounds of {tmp_path / 'hospital.yaml'}"


def test_a_failure_keeps_its_details_here(tmp_path: Path) -> None:
    told = preview(refusing(tmp_path, tmp_path / "gone"), PLAN)
    assert {one.refused for one in told} == {"failed: data"}
    assert "gone" in told[0].details


def test_what_the_rules_withhold_is_listed(data: Path, tmp_path: Path) -> None:
    _, trained, tested = preview(refusing(tmp_path, data, share=[]), PLAN)
    assert "train-loss" in trained.withheld
    assert "score-histogram" in tested.withheld
    assert not {"train-loss", "score-loss"} & trained.told.keys()


def test_a_plan_waits_for_a_person_where_the_hospital_says_so(data: Path, tmp_path: Path) -> None:
    hospital = refusing(tmp_path, data, plans="approved")
    assert {one.refused for one in preview(hospital, PLAN)} == {"refused by rule plans"}
    plans = AskedPlans(hospital.plans)
    assert {one.refused for one in preview(hospital, PLAN, as_approved=True)} == {None}
    assert not plans.listed()  # a preview is no server's question
    plans.remember(PLAN)
    plans.approve(PLAN.digest)
    assert {one.refused for one in preview(hospital, PLAN)} == {None}


@pytest.mark.slow
def test_work_of_the_last_day_counts_and_the_preview_does_not(data: Path, tmp_path: Path) -> None:
    hospital = refusing(tmp_path, data, rounds_per_day=2)
    log = AuditLog(hospital.audit_log)
    for _ in range(2):
        assert {one.refused for one in preview(hospital, PLAN)} == {None}
    head = log.append(Event.REQUEST, kind="train")
    assert [one.refused for one in preview(hospital, PLAN)] == [None, None, "refused by rule rounds_per_day"]
    assert log.verify() == head


def test_a_reply_that_is_too_large_stays(data: Path, tmp_path: Path) -> None:
    _, trained, tested = preview(refusing(tmp_path, data, megabytes_per_round=0.01), PLAN)
    assert (trained.refused, tested.refused) == ("refused by rule megabytes_per_round", None)


def hostile(plan: TrainingPlan, copied: HospitalFile, _: bytes) -> bytes:
    original = copied.state.parent
    for path in (original / "node.key", original / "audit.jsonl", copied.audit_log):
        with contextlib.suppress(PermissionError):
            return f"read {path.read_text()}".encode()
    return b"nothing found"


def test_an_image_that_takes_a_preview_over_finds_no_key(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital = refusing(tmp_path, data)
    for name in ("node.key", "audit.jsonl"):
        (hospital.state / name).write_text("")

    monkeypatch.setattr("client.runner.preview._describe", hostile)
    assert preview(hospital, PLAN)[1].details == "nothing found"


@pytest.mark.slow
def test_what_a_killed_preview_left_is_removed_by_the_next(data: Path, tmp_path: Path) -> None:
    hospital = refusing(tmp_path, data)
    for name in ("preview-left", "preview-going"):
        (hospital.state / name).mkdir()
    with (hospital.state / "preview-going" / "lock").open("w") as going:
        assert try_lock(going)
        preview(hospital, PLAN.changed({"federation.rounds": 10_000}))
    assert [path.name for path in hospital.state.glob("preview-*")] == ["preview-going"]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["preview", "check"])
def test_nothing_is_written_but_in_the_state_folder(command: str, data: Path, tmp_path: Path) -> None:
    hospital = write_hospital(tmp_path / "north", data)
    (tmp_path / "plan.toml").write_text("[model]\nweights = 'none'\n[data]\nsize = 64\nclasses = 'healthy,sick'\n")
    homes = [tmp_path / name for name in ("home", "temporary")]
    for home in homes:
        home.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("RAREFED_", "XDG_"))}
    arguments = {"preview": ["--plan", str(tmp_path / "plan.toml")], "check": ["--offline"]}[command]
    done = subprocess.run(
        [Path(sys.executable).parent / "rarefed-hospital", command, "--file", str(hospital.path), *arguments],
        env={**environment, "HOME": str(homes[0]), "TMPDIR": str(homes[1])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "train-images" in done.stdout if command == "preview" else "sandbox" in done.stdout, (
        done.stdout + done.stderr
    )
    assert not [path for home in homes for path in home.rglob("*")]
    assert {path.name for path in hospital.state.iterdir()} <= {"split.salt", "cache", "layers"}


@pytest.mark.slow
def test_a_check_before_the_hospital_has_enrolled_makes_no_folder(data: Path, tmp_path: Path) -> None:
    hospital = write_hospital(tmp_path / "north", data)
    hospital.state.rmdir()
    command = [Path(sys.executable).parent / "rarefed-hospital", "check", "--offline", "--file", str(hospital.path)]
    assert subprocess.run(command, capture_output=True, timeout=300, check=False).returncode == 1
    assert not hospital.state.exists()


def test_words_of_files_are_neither_markup_nor_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Preview("query", "failed: data", "a[/b]\x1b]52;c;\x07.png cannot be read", {"key": "[red]"}, ())
    table_console(TABLE_WIDTH).print(_table(shown))
    told = capsys.readouterr().out
    assert "a[/b]\\x1b]52;c;\\x07.png cannot be read" in told
    assert "[red]" in told
