"""`make demo`'s command: it ends in the files that the simulation ends in, and leaves no process."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from common.summary.summary import Summary
from tests.federation.marks import marked, with_mark
from tests.federation.quick import COMMAND, start
from tests.production.small import PLAN, write_images
from tests.waiting import wait_for

pytestmark = pytest.mark.slow


def test_a_demo_ends_in_a_released_model_and_leaves_no_process(tmp_path: Path) -> None:
    changes = {key: value for key, value in PLAN.items() if key not in ("data.classes", "federation.rounds")}
    settings = [word for key, value in changes.items() for word in ("--set", f"{key}={value}")]
    environment = with_mark()
    done = subprocess.run(
        [COMMAND, "demo", "--folder", "demo", "--output", "runs", "--sites", "2", "--rounds", "2", *settings],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    summary = json.loads((tmp_path / "runs" / "latest" / "summary.json").read_bytes())
    assert Summary.model_validate(summary).to_json() == summary
    assert summary["cost"]["sites"] == 2
    assert (tmp_path / "runs" / "latest" / "model" / "model.safetensors").is_file()
    assert "records, unbroken" in done.stdout
    assert "exit code 0" in done.stdout
    assert marked(environment) == []


def test_a_demo_that_is_told_to_end_leaves_no_process(tmp_path: Path) -> None:
    environment = with_mark()
    images = write_images(tmp_path / "mydata", 1)
    command = [COMMAND, "demo", "--data", str(images), "--sites", "2", "--set", "study.partition=iid"]
    process = start(command, tmp_path, environment)
    # Server and daemons are running then.
    wait_for(lambda: len(list(tmp_path.glob("demo/*.out"))) == 3, "the daemons to start", seconds=120)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 130
    assert marked(environment) == []


def test_a_folder_that_holds_something_else_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "thesis.txt").write_text("years of work")
    done = subprocess.run([COMMAND, "demo", "--folder", "demo"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert (tmp_path / "demo" / "thesis.txt").exists()
    assert "thesis" not in done.stdout
