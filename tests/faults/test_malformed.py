"""What a hospital may send in place of an honest update, to a running federation: it is left out of that round by name
and reason, and the model is as if it had not been there.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import ALL_MUST, Stage, rounds_of, weights_of
from tests.faults.malformed_ways import REASONS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# One of each kind; tests/server/rounds/test_malformed_replies.py has them all.
SENT = (
    "nan",
    "a hundred times larger",
    "one value, to be broadcast",
    "float64",
    "more images than declared",
    "one score missing",
    "scores of other images",
    "a replayed round",
    "a record too many",
    "nothing",
    "two gigabytes claimed",
    "a pickle",
    "too late",
)
# The guard of sizes needs a round to know what is usual, and a replay one to replay.
ROUNDS = {way: number for number, way in enumerate(SENT, start=2)}
PLAN: dict[str, Any] = ALL_MUST | {
    "federation.min_sites": 1,
    "federation.rounds": len(SENT) + 2,
    "federation.round_seconds": 25.0,
    "model.freeze": "all",
    "data.size": 32,
    "federation.wait_seconds": 10.0,
}


@pytest.fixture(scope="module")
def folder(theatre: Stage) -> Path:
    theatre.spoil("south", {number: way for way, number in ROUNDS.items()})
    before = theatre.folders()
    theatre.launch(PLAN)
    finished, resumed = theatre.finish(before, seconds=500)
    assert resumed == 0
    return finished


@pytest.mark.parametrize("way", SENT)
def test_a_malformed_reply_leaves_that_hospital_out_of_that_round(folder: Path, way: str) -> None:
    entry = rounds_of(folder)[ROUNDS[way] - 1]
    assert entry["round"] == ROUNDS[way]
    assert list(entry["sites"]) == ["north"]
    assert list(entry["left_out"]) == ["south"]
    assert re.search(REASONS[way], entry["left_out"]["south"])
    assert f"south left out of round {ROUNDS[way]}: {entry['left_out']['south']}" in (folder / "run.log").read_text()


def test_a_late_reply_is_counted_when_it_comes(folder: Path) -> None:
    after = rounds_of(folder)[ROUNDS["too late"] :]
    assert sum(entry["late"].get("south", 0) for entry in after) == 1


def test_honest_replies_of_the_same_hospital_are_used(folder: Path) -> None:
    honest = [entry for entry in rounds_of(folder) if entry["round"] not in ROUNDS.values()]
    assert all("south" in entry["sites"] or "no reply" in entry["left_out"]["south"] for entry in honest)
    assert "south" in honest[0]["sites"]


@pytest.mark.exhaustive
def test_the_model_is_as_if_the_hospital_had_not_answered(theatre: Stage, folder: Path) -> None:
    took_part = {entry["round"]: sorted(entry["sites"]) for entry in rounds_of(folder)}
    theatre.spoil("south", {number: "no metrics" for number, sites in took_part.items() if sites == ["north"]})
    before = theatre.folders()
    theatre.launch(PLAN)
    other, _ = theatre.finish(before, seconds=500)
    assert {entry["round"]: sorted(entry["sites"]) for entry in rounds_of(other)} == took_part
    assert weights_of(other) == weights_of(folder)


def test_a_hospital_with_repeated_faults_is_quarantined_and_tried_again(theatre: Stage) -> None:
    theatre.spoil("south", dict.fromkeys((1, 2), "nan"))
    before = theatre.folders()
    theatre.launch(
        PLAN
        | {"federation.rounds": 6, "federation.quarantine_after": 2, "federation.quarantine_rounds": 2}
        | {"federation.round_seconds": 60.0}
    )
    folder, _ = theatre.finish(before)
    assert [sorted(entry["sites"]) for entry in rounds_of(folder)] == [["north"]] * 4 + [["north", "south"]] * 2
    assert rounds_of(folder)[2]["left_out"] == {"south": "in quarantine until round 5"}
    status = json.loads(theatre.rehearsal.server.command("status", "--json").stdout)
    assert status["run"]["rounds"][2]["left_out"] == {"south": "in quarantine until round 5"}
