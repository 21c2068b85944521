"""What a hospital remembers of a federation, and what a server cannot ask again."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord
from numpy.typing import NDArray

from client.exposure.federation_memory import FederationMemory
from client.exposure.tail_origin import InitialTail
from client.rules.policy import HospitalFailure, Refusal
from client.rules.request import Request
from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.refusals import Failure, Rule
from tests.client.hospital import rules

LAYOUT = TailLayout(("weight",), ((4,),))
ORIGIN = np.ones(4, np.float32)
PLAN = TrainingPlan.from_flat({"federation.rounds": 3})


def memory(folder: Path, **changes: Any) -> FederationMemory:
    return FederationMemory(folder / "federations", rules(**changes), lambda plan: InitialTail(LAYOUT, ORIGIN))


def request(kind: str = "train", number: int = 1, plan: TrainingPlan = PLAN, **words: str) -> Request:
    return Request(kind, plan, ConfigRecord({messages.FEDERATION: "f", messages.ROUND: number, **words}))


def refusal(kept: FederationMemory, asked: Request, tail: NDArray[np.float32] = ORIGIN) -> Rule | None:
    try:
        kept.admit(asked, tail)
    except Refusal as no:
        return no.rule
    return None


def test_tails_follow_each_other_also_after_a_restart(tmp_path: Path) -> None:
    assert refusal(memory(tmp_path), request()) is None
    memory(tmp_path).learn(request(), np.full(4, 0.001, np.float32))
    assert refusal(memory(tmp_path), request(number=2), ORIGIN + 0.015) is None
    assert refusal(memory(tmp_path), request(number=3), ORIGIN + 0.04) == Rule.TAILS
    assert refusal(memory(tmp_path), request(number=3), ORIGIN + 0.03) is None


def test_a_round_is_trained_from_two_tails_at_most(tmp_path: Path) -> None:
    kept = memory(tmp_path)
    tails = [ORIGIN + np.float32(step) for step in (0.001, 0.002, 0.003)]
    assert [refusal(kept, request(number=2), tail) for tail in tails] == [None, None, Rule.ROUNDS]
    assert refusal(kept, request(number=2), tails[0]) is None, "the same again gets the same answer"


@pytest.mark.parametrize("number", [0, -1, 4])
def test_a_round_that_the_plan_has_not_is_refused(tmp_path: Path, number: int) -> None:
    assert refusal(memory(tmp_path), request(number=number)) == Rule.ROUNDS


def test_a_federation_keeps_its_plan(tmp_path: Path) -> None:
    kept = memory(tmp_path)
    assert refusal(kept, request()) is None
    assert refusal(kept, request(plan=PLAN.changed({"training.seed": 2}))) == Rule.PLANS


def test_tests_are_counted_for_each_split(tmp_path: Path) -> None:
    kept = memory(tmp_path, tests=1)
    asked = [
        request("evaluate", 3, **{messages.SPLIT: split}) for split in ("validation", "test", "test", "validation")
    ]
    tails = [ORIGIN, ORIGIN, ORIGIN + np.float32(0.001), ORIGIN]
    told = [refusal(kept, each, tail) for each, tail in zip(asked, tails, strict=True)]
    assert told == [None, None, Rule.TESTS, None]


def test_federations_of_a_month_are_counted_by_whatever_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = memory(tmp_path, federations=2)
    names = ("../../f", "g", "h")
    asked = [Request("train", PLAN, ConfigRecord({messages.FEDERATION: n, messages.ROUND: 1})) for n in names]
    assert [refusal(kept, each) for each in asked] == [None, None, Rule.FEDERATIONS]
    assert refusal(kept, asked[0]) is None, "one that has begun goes on"
    assert {path.parent for path in tmp_path.glob("**/facts.json")} == set((tmp_path / "federations").iterdir())
    next_month = time.time() + 31 * 24 * 3600
    monkeypatch.setattr(time, "time", lambda: next_month)
    assert refusal(kept, asked[2]) is None


def test_a_damaged_memory_stops_the_work(tmp_path: Path) -> None:
    kept = memory(tmp_path)
    kept.admit(request(), ORIGIN)
    next(tmp_path.glob("federations/*/facts.json")).write_text("{")
    with pytest.raises(HospitalFailure, match="was damaged since it was written") as stopped:
        kept.admit(request(number=2), ORIGIN)
    assert stopped.value.kind == Failure.STATE
