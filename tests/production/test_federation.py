"""A real federation of real processes: what it makes, and who refuses what by which rule."""

import csv
import json
import shutil
import time
import tomllib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tomli_w
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc
from safetensors.numpy import load_file

from client.rules.audit_log import AuditLog
from common.models.tail_layout import tail_digest
from common.plan.training_plan import TrainingPlan
from server.flower.app_bundle import app_folder
from server.flower.control_api import Control
from server.flower.nodes_and_runs import FINISHED
from server.members.consortium import read_consortium
from server.members.server_folder import ServerFolder
from simulations.local_federation.rehearsal import Rehearsal
from tests.federation.in_process import federate
from tests.production.small import CLASSES, HOSPITALS, PLAN, online_consortium

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """A server and three hospitals that are online."""
    with online_consortium(tmp_path_factory.mktemp("consortium"), impatient=True) as rehearsal:
        yield rehearsal


@pytest.fixture(scope="module")
def finished(consortium: Rehearsal) -> Path:
    """The folder of a federation that was run to its end."""
    assert consortium.server.run(PLAN) == 0
    return (consortium.server.runs / "latest").resolve()


@pytest.fixture
def changed(consortium: Rehearsal) -> Iterator[Any]:
    """Change the rules of hospitals for one test; the daemons go on running."""
    before = {hospital: consortium.hospitals[hospital].file.read_text() for hospital in HOSPITALS}

    def change(hospital: str, **rules: Any) -> None:
        consortium.hospitals[hospital].change({"rules": rules})

    yield change
    for hospital, text in before.items():
        consortium.hospitals[hospital].file.write_text(text)


def summary_of(run: Path) -> Any:
    return json.loads((run / "summary.json").read_bytes())


def audit_of(consortium: Rehearsal, hospital: str) -> AuditLog:
    return AuditLog(consortium.hospitals[hospital].folder / "state" / "audit.jsonl")


def refusals(consortium: Rehearsal, hospital: str) -> set[str]:
    return {record["rule"] for record in audit_of(consortium, hospital).records() if record["event"] == "refused"}


def test_a_federation_ends_in_a_run_folder_with_a_released_model(finished: Path) -> None:
    summary = summary_of(finished)
    arm = summary["arms"]["federated"]
    assert [site["name"] for site in summary["dataset"]["sites"]] == list(HOSPITALS)
    assert arm["total"] == sum(site["test"] for site in summary["dataset"]["sites"])
    assert set(arm["per_site"]) == set(HOSPITALS)
    assert np.sum(arm["confusion"]) == arm["total"]
    rounds = [json.loads(line) for line in (finished / "rounds.jsonl").read_text().splitlines()]
    assert [entry["round"] for entry in rounds] == [1, 2]
    assert all(set(entry["sites"]) == set(HOSPITALS) for entry in rounds)
    tensors = load_file(finished / "model" / "model.safetensors")
    tail = load_file(finished / "checkpoints" / "federated.safetensors")
    assert all((tensors[f"tail.{name}"] == value).all() for name, value in tail.items())
    assert "Not a medical device" in (finished / "model" / "card.md").read_text()


def test_a_federation_of_the_same_images_in_one_process_gives_the_same_weights(
    finished: Path, consortium: Rehearsal, tmp_path: Path
) -> None:
    """As a simulation's are, see `tests/federation/test_simulate.py`."""
    pooled = tmp_path / "pooled"
    rows = []
    for hospital in HOSPITALS:
        source = consortium.folder.parent / "images" / hospital
        shutil.copytree(source / "images", pooled / "images", dirs_exist_ok=True)
        with (source / "manifest.csv").open() as stream:
            rows += [{**row, "site": hospital} for row in csv.DictReader(stream)]
    with (pooled / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["path", "label", "patient", "site"])
        writer.writeheader()
        writer.writerows(rows)
    plan = TrainingPlan.from_flat(PLAN | {"data.path": str(pooled)})
    result, arm = federate(plan, tmp_path / "layers"), summary_of(finished)["arms"]["federated"]
    assert arm["weights_digest"] == {"global": tail_digest(result.tail)}
    assert arm["confusion"] == sum(counts.confusion for counts in result.test.values()).tolist()


def test_status_knows_hospitals_rounds_and_metrics(finished: Path, consortium: Rehearsal) -> None:
    status = json.loads(consortium.server.command("status", "--json").stdout)
    assert {each["name"]: each["connection"] for each in status["hospitals"]} == dict.fromkeys(HOSPITALS, "online")
    assert all(each["plan"] == "accepts the plan" for each in status["hospitals"])
    assert json.loads(consortium.server.command("runs", "--json").stdout)[0]["status"] == "completed"
    assert "round 2/2" in consortium.server.command("logs").stdout
    assert any("round 2/2" in line for line in json.loads(consortium.server.command("logs", "--json").stdout)["lines"])


def test_every_request_and_byte_is_in_an_unbroken_audit_log(finished: Path, consortium: Rehearsal) -> None:
    for hospital in HOSPITALS:
        audit = audit_of(consortium, hospital)
        trained = [record for record in audit.records() if record["event"] == "trained"]
        assert {record["round"] for record in trained} == {1, 2}
        assert all(record["bytes_sent"] > 1_000_000 for record in trained)
        assert "unbroken" in consortium.hospitals[hospital].command("audit", "verify").stdout


def test_a_hospital_says_how_it_is(consortium: Rehearsal) -> None:
    told = json.loads(consortium.hospitals["north"].command("status", "--json").stdout)
    assert told["running"]
    assert told["online"]
    port = told_port(consortium, "north")
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def told_port(consortium: Rehearsal, hospital: str) -> int:
    return int(yaml.safe_load(consortium.hospitals[hospital].file.read_text())["ports"]["health"])


def an_hour_from_now() -> str:
    start = datetime.now() + timedelta(hours=2)
    return f"{start:%H:%M}-{start + timedelta(hours=1):%H:%M}"


# What each rule refuses is decided without processes in tests/client; here two rules per run prove that it is asked.
EXHAUSTIVE = pytest.mark.exhaustive


@pytest.mark.parametrize(
    ("rules", "rule"),
    [
        (({"apps": []}, {"families": ["resnet50"]}), ("apps", "families")),
        (({"rounds": 1}, {"megabytes_per_round": 0.5}), ("rounds", "megabytes_per_round")),
        pytest.param(
            ({"least_images": 1000}, {"hours": [an_hour_from_now()]}), ("least_images", "hours"), marks=EXHAUSTIVE
        ),
        pytest.param(
            ({"require": {"update_clip_norm": 1.0}}, {"rounds_per_day": 1}),
            ("require.update_clip_norm", "rounds_per_day"),
            marks=EXHAUSTIVE,
        ),
        pytest.param(({"local_epochs": 1}, {"share": []}), ("local_epochs", None), marks=EXHAUSTIVE),
    ],
)
def test_a_hospital_refuses_by_its_own_rule_and_the_others_go_on(
    consortium: Rehearsal, changed: Any, rules: tuple[dict[str, Any], ...], rule: tuple[str | None, ...]
) -> None:
    for hospital, its_rules in zip(HOSPITALS, rules, strict=False):
        changed(hospital, **its_rules)
    assert consortium.server.run(PLAN | {"federation.local_epochs": 2 if "local_epochs" in rule else 1}) == 0
    run = (consortium.server.runs / "latest").resolve()
    told = (run / "run.log").read_text()
    for hospital, its_rule in zip(HOSPITALS, rule, strict=False):
        if its_rule is None:
            continue
        assert f"refused by rule {its_rule}" in told
        assert its_rule in refusals(consortium, hospital)
        audit_of(consortium, hospital).verify()
    rounds = [json.loads(line) for line in (run / "rounds.jsonl").read_text().splitlines()]
    assert all("south" in entry["sites"] for entry in rounds)


def test_an_app_that_carries_code_is_refused_before_any_of_it_runs(consortium: Rehearsal, tmp_path: Path) -> None:
    app, proof = tmp_path / "app", tmp_path / "it-ran"
    shutil.copytree(app_folder(), app)
    content = tomllib.loads((app / "pyproject.toml").read_text())
    content["tool"]["flwr"]["app"]["fab-include"] = ["pyproject.toml", "evil.py", "client/*.py"]
    (app / "pyproject.toml").write_text(tomli_w.dumps(content))
    code = f"import pathlib\npathlib.Path({str(proof)!r}).touch()\n"
    (app / "evil.py").write_text(code)
    (app / "client").mkdir()
    (app / "client" / "app.py").write_text(code + "from flwr.clientapp import ClientApp\napp = ClientApp()\n")
    port = read_consortium(consortium.server.folder / "consortium.yaml").server.superlink_port
    plan = TrainingPlan.from_flat(PLAN).flat()
    folder = ServerFolder(consortium.server.folder)
    with Control(f"127.0.0.1:{port}", folder.certificate("ca"), folder.operator_secret) as control:
        run = control.start_run(app, {key: plan[key] for key in PLAN})
        wait_for_end(control, run)
        assert "another app than the installed one" in control.run(run).details
    assert not proof.exists()


def wait_for_end(control: Control, run: int) -> None:
    deadline = time.monotonic() + 120
    while control.run(run).status not in FINISHED:
        assert time.monotonic() < deadline
        time.sleep(1)


def test_a_hospital_whose_file_is_being_edited_answers_nothing_and_others_share_nothing(
    consortium: Rehearsal, changed: Any
) -> None:
    consortium.hospitals["east"].file.write_text("name: east\nrules: [unfinished")
    for hospital in ("north", "south"):
        changed(hospital, share=[])
    assert consortium.server.run(PLAN) == 0
    run = (consortium.server.runs / "latest").resolve()
    assert "east left out: failed: state" in (run / "run.log").read_text()
    failures = [record for record in audit_of(consortium, "east").records() if record["event"] == "failed"]
    assert failures[-1]["failure"] == "state"
    assert summary_of(run)["federated_evaluation"] is None
    assert CLASSES.split(",") == summary_of(run)["dataset"]["classes"]
    assert "nobody knows" in (run / "model" / "card.md").read_text()


def test_revoking_a_hospital_puts_it_offline_and_says_so_there(consortium: Rehearsal) -> None:
    consortium.server.command("revoke", "east", "--yes", check=False)
    consortium.processes.wait_for(
        "east to be offline", lambda: not consortium.hospitals["east"].status().get("online", True)
    )
    consortium.processes.wait_for(
        "east to know why", lambda: "does not know this hospital's key" in consortium.processes.log("east")
    )
    status = json.loads(consortium.server.command("status", "--json").stdout)
    assert {each["name"]: each["connection"] for each in status["hospitals"]}["east"] != "online"
