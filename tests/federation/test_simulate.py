"""`make simulate`, `rarefed-sim run` and `flwr run .` as a person starts them: whole runs, failures, Ctrl-C."""

import csv
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from common.evaluation.roc import auc
from common.models.tail_layout import tail_digest
from common.plan.training_plan import TrainingPlan
from tests.federation.by_hand import flower_by_hand
from tests.federation.data import manifest
from tests.federation.in_process import federate
from tests.federation.marks import leaving_nothing
from tests.federation.quick import COMMAND, QUICK, settings
from tests.places import ROOT
from tests.waiting import wait_for

# What a program does in a network namespace whose only way out is a dead end that is counted.
COUNT_PACKETS = f"""
    sysctl -qw net.ipv6.conf.all.disable_ipv6=1 2>/dev/null
    ip link set lo up
    ip link add out type veth peer name wall && ip addr add 192.0.2.1/24 dev out
    ip link set out up && ip link set wall up && ip route add default via 192.0.2.254
    sent() {{ awk '$1 == "out:" {{print $11}}' /proc/net/dev; }}
    sleep 2; before=$(sent)
    "$@" || exit 1
    echo "packets: $(( $(sent) - before ))"
    {sys.executable} -c 'import socket; s = socket.socket(); s.settimeout(1); s.connect_ex(("198.51.100.1", 80))'
    echo "packets with one attempt: $(( $(sent) - before ))"
"""


def counted(command: list[str]) -> list[str]:
    """Return a command that runs another one and counts the packets that leave, on a machine where that can be done."""
    apart = ["unshare", "--net"]
    if not shutil.which("unshare") or not shutil.which("ip") or subprocess.run([*apart, "true"]).returncode:
        return command
    return [*apart, "sh", "-c", COUNT_PACKETS, "sh", *command]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    with leaving_nothing(tmp_path / "cache") as environment:
        yield environment


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A whole `make simulate`, started from another folder, on data whose path is relative to that folder."""
    base = tmp_path_factory.mktemp("simulate")
    manifest(base / "mydata")
    arguments = " ".join([*settings(), "--output", str(base / "runs")])
    if not (ROOT / ".venv" / ".installed").is_file():
        pytest.skip("the environment of the Makefile is not there: run the tests with `make test`")
    make = ["make", "--no-print-directory", "-C", str(ROOT), "simulate", "DATA=mydata", f"ARGS={arguments}"]
    with leaving_nothing(base / "cache") as environment:
        done = subprocess.run(
            counted(make),
            cwd=base,
            env={**environment, "PWD": str(base)},
            capture_output=True,
            text=True,
            timeout=400,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return base / "runs" / "latest", done


def test_a_run_leaves_every_file_of_its_folder(finished: tuple[Path, Any]) -> None:
    run, _ = finished
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    drawn = {name for name in names if name.startswith(("figures/", "tables/", "units/"))}
    assert names - drawn == {
        "plan.json",
        "rounds.jsonl",
        "summary.json",
        "predictions.csv",
        "results.csv",
        "report.html",
        "run.log",
        "checkpoints/federated.safetensors",
    }
    assert {"figures/roc.png", "figures/roc.svg", "tables/arms.csv"} <= drawn
    assert len([name for name in drawn if name.startswith("units/")]) == 5
    assert [path.name for path in run.resolve().parent.iterdir() if "unfinished" in path.name] == []


def test_the_summary_says_what_was_run_and_what_came_out(finished: tuple[Path, Any]) -> None:
    summary = json.loads((finished[0] / "summary.json").read_text())
    assert summary["dataset"]["name"] == "mydata"
    assert summary["dataset"]["synthetic"] is False
    assert summary["dataset"]["images"] == 24
    assert summary["dataset"]["classes"] == ["healthy", "sick"]
    assert [site["name"] for site in summary["dataset"]["sites"]] == ["north", "south"]
    assert summary["plan"]["federation"]["rounds"] == 2
    assert summary["plan_digest"] == json.loads((finished[0] / "plan.json").read_text())["digest"]
    assert len(summary["weights_sha256"]) == 64
    assert set(summary["arms"]) == {"federated", "centralized", "local", "probe"}
    for arm in summary["arms"].values():
        keys = {"correct", "total", "accuracy", "sensitivity", "specificity", "precision", "f1", "auc", "confusion"}
        assert keys <= arm.keys()
        assert sum(map(sum, arm["confusion"])) == arm["total"]
        assert set(arm["per_site"]) == {"north", "south"}
        assert sum(site["correct"] for site in arm["per_site"].values()) == arm["correct"]
    cost = summary["cost"]
    assert cost["wall_s"] > 0
    assert 0 < cost["bytes_up_per_site_per_round"] < cost["bytes_model_full"]


def test_the_hospitals_counts_give_the_same_confusion_as_the_predictions(finished: tuple[Path, Any]) -> None:
    summary = json.loads((finished[0] / "summary.json").read_text())
    assert summary["federated_evaluation"]["confusion"] == summary["arms"]["federated"]["confusion"]
    assert summary["federated_evaluation"]["auc"] == pytest.approx(summary["arms"]["federated"]["auc"], abs=0.1)


def test_predictions_hold_every_test_image_once_for_each_model(finished: tuple[Path, Any]) -> None:
    summary = json.loads((finished[0] / "summary.json").read_text())
    with (finished[0] / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    total = summary["arms"]["federated"]["total"]
    for arm, models in {"federated": [""], "centralized": [""], "local": ["north", "south"]}.items():
        for model in models:
            chosen = [row for row in rows if row["arm"] == arm and row["model"] == model]
            assert len({row["image"] for row in chosen}) == len(chosen) == total
    federated = [row for row in rows if row["arm"] == "federated"]
    labels = np.array([row["label"] == "sick" for row in federated], dtype=int)
    scores = np.array([[float(row["p_healthy"]), float(row["p_sick"])] for row in federated])
    assert auc(labels, scores) == pytest.approx(summary["arms"]["federated"]["auc"], abs=0.02)


def test_the_checkpoint_is_the_federated_tail(finished: tuple[Path, Any]) -> None:
    summary = json.loads((finished[0] / "summary.json").read_text())
    tensors = load_file(finished[0] / "checkpoints" / "federated.safetensors")
    assert sum(tensor.nbytes for tensor in tensors.values()) == summary["cost"]["bytes_up_per_site_per_round"]
    assert tensors["head.classifier.weight"].shape == (2, 1280)


def test_progress_and_table_are_printed(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    printed = finished[1].stdout
    assert "24 images (12 healthy, 12 sick; sick is the disease) of 24 patients (column 'patient')" in printed
    assert "2 sites (natural)" in printed
    assert "federated round 2/2: loss " in printed
    assert "left]" in printed
    assert "local south: " in printed
    assert printed.count("Sensitivity") == 1
    assert "Flower" not in printed


def test_flower_adds_nothing_to_the_arithmetic(finished: tuple[Path, Any], tmp_path: Path) -> None:
    """The weights are those of the same plan without Flower's processes, bit for bit."""
    plan = TrainingPlan.model_validate(json.loads((finished[0] / "plan.json").read_text())["plan"])
    summary = json.loads((finished[0] / "summary.json").read_text())
    digest = tail_digest(federate(plan, tmp_path).tail)
    assert summary["arms"]["federated"]["weights_digest"] == {"global": digest}


def test_no_packet_leaves_the_machine(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    printed = finished[1].stdout
    if "packets: " not in printed:
        pytest.skip("needs root, unshare (util-linux) and ip (iproute2)")
    assert "packets: 0\n" in printed
    assert "packets with one attempt: 0\n" not in printed


@pytest.mark.slow
def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, environment: dict[str, str]) -> None:
    manifest(tmp_path / "data")
    changes = settings(federation__rounds="500", federation__local_epochs="4", study__arms="federated")
    command = [COMMAND, "run", "--data", "data", *changes]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        # Flower is running then, and no round is over.
        wait_for(lambda: list(tmp_path.glob("runs/*.unfinished/plan.json")), "the run to start")
    finally:
        process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert process.communicate()[1].splitlines()[-1] == "interrupted: nothing was finished yet, and nothing is kept"
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.slow
def test_a_failed_run_says_why_and_exits_with_1(tmp_path: Path, environment: dict[str, str]) -> None:
    manifest(tmp_path / "data")
    command = [COMMAND, "run", "--data", "data", *settings(federation__min_sites="3")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: the run failed: 2 of 2 hospitals take part, federation.min_sites is 3; logs are in")
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "runs" / "latest").exists()


@pytest.mark.slow
def test_flwr_run_by_hand(tmp_path: Path, environment: dict[str, str]) -> None:
    """`flwr run .` in the activated environment: nothing is installed, and paths count from where the user stands."""
    manifest(tmp_path / "data")
    config = " ".join(f"{key}={value}" for key, value in QUICK.items())
    with flower_by_hand(tmp_path, environment) as flwr_run:
        done = flwr_run(f'{config} data.path="data"')
        bad = flwr_run('data.path="nowhere"')
    # Only rarefed's own command tidies up after Ray.
    shutil.rmtree(Path(environment["TMPDIR"]) / "ray", ignore_errors=True)
    assert "Sensitivity" in done
    assert (tmp_path / "runs" / "latest" / "summary.json").is_file()
    assert not (tmp_path / "home" / "runtime-envs").exists()
    assert "uv sync" not in done
    assert "data.path nowhere does not exist" in "\n".join(bad.splitlines()[-8:])
