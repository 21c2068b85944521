"""What a hospital may send in place of an honest update, to a running federation: it is left out of that round by name
and reason, and the model is as if it had not been there.
"""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.faults.harness import ALL_MUST, Stage, rounds_of, weights_of
from tests.production.small import INJECT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# Why each is left out; the ways themselves stand in inject/malformed.py.
REASONS = {
    "nan": "NaN or infinity",
    "infinity": "NaN or infinity",
    "beyond float": r"values beyond 1e\+30",
    "a hundred times larger": "times the usual",
    "one value, to be broadcast": "update of 1 values instead of",
    "one value short": r"update of \d+ values instead of",
    "two dimensions": "not a flat float32 vector",
    "float64": "not a flat float32 vector",
    "int64": "not a flat float32 vector",
    "float16": "not a flat float32 vector",
    "zero images": "weight of 0 images",
    "negative images": "weight of -5 images",
    "more images than declared": "weight of 1000000 images, declared",
    "half an image": "weight of 0.5 images",
    "no image count": "weight of None images",
    "one score missing": "score-loss is None",
    "a loss that is no number": "train-loss is nan",
    "a metric too many": "not asked for: age",
    "scores of other images": "do not count the same images",
    "another plan": "answers another request: plan-digest",
    "a replayed round": "answers another request: round 1 instead of",
    "another tail": "answers another request: tail-digest",
    "another federation": "answers another request: federation",
    "a word too many": "not asked for: note",
    "an array too many": "exactly one array",
    "a record too many": "not asked for: notes",
    "no update": "exactly one array",
    "no metrics": "no metrics record",
    "no receipt": "does not say what it answers",
    "nothing": "does not say what it answers",
    "bytes that are no array": "cannot be read as an array",
    "two gigabytes claimed": "cannot be read as an array",
    "a pickle": "cannot be read as an array",
    "too late": "no reply in time",
}
# The guard of sizes needs a round to know what is usual, and a replay one to replay.
ROUNDS = {way: number for number, way in enumerate(REASONS, start=2)}
PLAN: dict[str, Any] = ALL_MUST | {
    "federation.min_sites": 1,
    "federation.rounds": len(REASONS) + 2,
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


def test_every_way_has_its_reason() -> None:
    spec = importlib.util.spec_from_file_location("malformed", INJECT / "malformed.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.WAYS.keys() == REASONS.keys()


@pytest.mark.parametrize("way", REASONS)
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
