"""Federations in which hospitals fail, in Flower, as a person starts them."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.federation.quick import COMMAND, settings

SITES, ROUNDS = 20, 4


def start(folder: Path, *options: str, **changes: str) -> str:
    sets = settings(**{"augmentation__test_views": "0", "federation__rounds": str(ROUNDS)} | changes)
    command = [COMMAND, *options, "--output", str(folder / "runs"), *sets]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join(done.stdout.split())  # however wide the terminal is


def latest(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    run = folder / "runs" / "latest"
    assert "dropped out of the federation on purpose" in (run / "report.html").read_text()
    rounds = [json.loads(line) for line in (run / "rounds.jsonl").read_text().splitlines()]
    return json.loads((run / "summary.json").read_text()), rounds


@pytest.mark.slow
@pytest.mark.exhaustive
def test_twenty_hospitals_of_which_three_in_ten_drop_out_and_one_is_hostile(tmp_path: Path) -> None:
    faults = {"study__dropout": "0.3", "study__hostile_sites": "1", "study__arms": "federated"}
    printed = start(tmp_path, "run", "--sites", str(SITES), **faults)
    summary, rounds = latest(tmp_path)
    assert [one["round"] for one in rounds] == list(range(1, ROUNDS + 1))
    assert printed.count("every reply to a round of training was lost with a probability of 30 %") == 2
    assert "1 of 20 hospitals was hostile on purpose" in printed
    reasons = [reason for one in rounds for reason in one["left_out"].values()]
    assert 0.1 < reasons.count("dropped out of this round") / (SITES * ROUNDS) < 0.5
    assert all(len(one["sites"]) + len(one["left_out"]) == SITES for one in rounds)
    assert all("site-20" in one["left_out"] for one in rounds)
    assert summary["plan"]["study"]["dropout"] == 0.3
    assert summary["arms"]["federated"]["total"] > 20
    again = start(tmp_path, "run", "--sites", str(SITES), **faults)
    assert again.count("dropped out") == printed.count("dropped out")
    assert latest(tmp_path)[0]["arms"]["federated"]["weights_digest"] == summary["arms"]["federated"]["weights_digest"]
