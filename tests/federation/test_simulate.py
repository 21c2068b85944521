"""`make simulate`, `rarefed-sim run` and `flwr run .` as a person starts them: whole runs, failures, Ctrl-C."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file

from common.evaluation.roc import auc
from tests.federation.by_hand import flower_by_hand
from tests.federation.data import manifest
from tests.federation.quick import COMMAND, QUICK, settings
from tests.places import ROOT


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment whose processes can be told from all others, and which must leave none behind."""
    # Short, since Ray's sockets go below it.
    temporary = Path(tempfile.mkdtemp(prefix="rf", dir="/tmp"))
    mark = f"rarefed-test-{os.getpid()}-{time.monotonic_ns()}"
    yield {**os.environ, "RAREFED_CACHE": str(tmp_path / "cache"), "TMPDIR": str(temporary), "RAREFED_TEST": mark}
    assert marked(mark) == []
    # torch makes an empty folder of its own wherever it is imported.
    assert [path.name for path in temporary.iterdir() if not path.name.startswith("torchinductor")] == []
    shutil.rmtree(temporary)


def marked(mark: str) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAREFED_TEST") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A whole `make simulate`, started from another folder, on data whose path is relative to that folder."""
    base = tmp_path_factory.mktemp("simulate")
    manifest(base / "mydata")
    arguments = " ".join([*settings(), "--output", str(base / "runs")])
    if not (ROOT / ".venv" / ".installed").is_file():
        pytest.skip("the environment of the Makefile is not there: run the tests with `make test`")
    done = subprocess.run(
        ["make", "--no-print-directory", "-C", str(ROOT), "simulate", "DATA=mydata", f"ARGS={arguments}"],
        cwd=base,
        env={**os.environ, "PWD": str(base), "RAREFED_CACHE": str(base / "cache")},
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
    assert "24 images (12 healthy, 12 sick) of 24 patients (column 'patient'), 2 sites (natural)" in printed
    assert "federated round 2/2: loss " in printed
    assert "left]" in printed
    assert "local south: " in printed
    assert printed.count("Sensitivity") == 1
    assert "Flower" not in printed


def start_and_await(words: str, folder: Path, environment: dict[str, str], rounds: int) -> subprocess.Popen[str]:
    """Start a run of a federation alone, and return it once it has printed some words."""
    if not (folder / "data").exists():
        manifest(folder / "data")
    process = subprocess.Popen(
        federation_of(rounds),
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        # A test run in the background has Ctrl-C ignored, and hands that down.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert any(words in line for line in process.stdout)
    return process


def federation_of(rounds: int) -> list[str]:
    changes = settings(federation__rounds=str(rounds), federation__local_epochs="4", study__arms="federated")
    return [COMMAND, "run", "--data", "data", *changes]


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, environment: dict[str, str]) -> None:
    process = start_and_await("24 images", tmp_path, environment, rounds=500)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.slow
def test_a_killed_run_goes_on_within_its_federation(tmp_path: Path, environment: dict[str, str]) -> None:
    for name in ("killed", "undisturbed"):
        (tmp_path / name).mkdir()
    process = start_and_await("federated round 2/6", tmp_path / "killed", environment, rounds=6)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while marked(environment["RAREFED_TEST"]) and time.monotonic() < deadline:
        time.sleep(1)
    manifest(tmp_path / "undisturbed" / "data")
    digests, printed = [], []
    for name in ("killed", "undisturbed"):
        done = subprocess.run(
            federation_of(6), cwd=tmp_path / name, env=environment, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, done.stderr
        run = tmp_path / name / "runs" / "latest"
        printed.append(done.stdout)
        digests.append(json.loads((run / "summary.json").read_text())["arms"]["federated"]["weights_digest"])
        assert [json.loads(line)["round"] for line in (run / "rounds.jsonl").read_text().splitlines()] == [*range(1, 7)]
    assert "federated: going on after round" in printed[0]
    assert "going on" not in printed[1]
    assert digests[0] == digests[1]


def test_a_failed_run_says_why_and_exits_with_1(tmp_path: Path, environment: dict[str, str]) -> None:
    manifest(tmp_path / "data")
    command = [COMMAND, "run", "--data", "data", *settings(federation__min_sites="3")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: the run failed: 2 of 2 hospitals take part, federation.min_sites is 3; logs are in")
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "runs" / "latest").exists()


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


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"),
    reason="needs root, unshare (util-linux) and ip (iproute2)",
)
def test_no_packet_leaves_the_machine(tmp_path: Path, environment: dict[str, str]) -> None:
    """In a network namespace whose only way out is a counted, dead end."""
    manifest(tmp_path / "data")
    script = f"""
        sysctl -qw net.ipv6.conf.all.disable_ipv6=1 2>/dev/null
        ip link set lo up
        ip link add out type veth peer name wall && ip addr add 192.0.2.1/24 dev out
        ip link set out up && ip link set wall up && ip route add default via 192.0.2.254
        sent() {{ awk '$1 == "out:" {{print $11}}' /proc/net/dev; }}
        sleep 2; before=$(sent)
        {COMMAND} run --data data {" ".join(settings())} || exit 1
        echo "packets: $(( $(sent) - before ))"
        {sys.executable} -c 'import socket; s = socket.socket(); s.settimeout(1); s.connect_ex(("198.51.100.1", 80))'
        echo "packets with one attempt: $(( $(sent) - before ))"
    """
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "packets: 0\n" in done.stdout
    assert "packets with one attempt: 0\n" not in done.stdout
