from typing import Any

import numpy as np
import pytest

from common.evaluation.evaluation_counts import EvaluationCounts
from common.evaluation.metrics import confusion_matrix
from common.evaluation.ranked_pairs import RankedPairs
from common.evaluation.score_histogram import ScoreHistogram
from common.plan.groups import STRATEGIES
from common.plan.training_plan import TrainingPlan
from server.rounds.aggregation import make_strategy
from server.rounds.reply_checks import SiteReport, Update


def update(change: list[float], images: int) -> Update:
    empty = np.empty((0, 2))
    score = EvaluationCounts(
        0.0, confusion_matrix([], [], 2), ScoreHistogram.from_scores([], empty, 4), RankedPairs.from_scores([], empty)
    )
    return Update(np.array(change, np.float32), SiteReport(images, 0.5, 1.0, score, weight=images))


def test_fedavg_weighs_hospitals_by_their_images() -> None:
    tail = np.array([1.0, 10.0], np.float32)
    updates = {"south": update([1, 0], 30), "north": update([-1, 4], 10)}
    strategy = make_strategy(TrainingPlan())
    moved = strategy.next_tail(1, tail, updates)
    assert moved.dtype == np.float32
    assert np.allclose(moved, [1.5, 11.0])
    assert np.array_equal(strategy.next_tail(1, tail, dict(reversed(updates.items()))), moved)


def test_one_hospital_alone_gets_its_own_tail_back() -> None:
    tail = np.array([0.25, -3.0], np.float32)
    assert np.array_equal(make_strategy(TrainingPlan()).next_tail(1, tail, {"x": update([0.5, 1], 3)}), [0.75, -2.0])


UPDATES = {
    "a": update([1, 0], 30),
    "b": update([-1, 4], 10),
    "c": update([0.9, 0.1], 10),
    "d": update([0.8, 0.2], 5),
    "e": update([0.5, 0.2], 5),
}
TAIL = np.array([1.0, 10.0], np.float32)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_moves_the_tail_in_float32_and_whatever_the_order_of_replies(name: str) -> None:
    plan = TrainingPlan.from_flat({"federation.strategy": name, "model.batch_norm": "train"})
    strategy, other = make_strategy(plan), make_strategy(plan)
    moved = strategy.next_tail(1, TAIL, UPDATES)
    again = strategy.next_tail(2, moved, UPDATES)
    assert moved.dtype == again.dtype == np.float32
    assert moved.shape == TAIL.shape
    assert moved[0] > TAIL[0]
    assert np.array_equal(other.next_tail(1, TAIL, dict(reversed(UPDATES.items()))), moved)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"federation.strategy": "fedprox"}, [35.5 / 60, 43.0 / 60]),  # its proximal term is the hospitals' part
        ({"federation.strategy": "fedbn", "model.batch_norm": "train"}, [35.5 / 60, 43.0 / 60]),  # of what travels
        ({"federation.strategy": "fedmedian"}, [0.8, 0.2]),
        ({"federation.strategy": "fedtrimmedavg"}, [2.2 / 3, 0.5 / 3]),
        ({"federation.strategy": "krum", "federation.malicious_sites": 1}, [0.9, 0.1]),
        ({"federation.strategy": "multikrum", "federation.malicious_sites": 1}, [45.5 / 50, 3.0 / 50]),
        ({"federation.strategy": "fedavgm"}, [35.5 / 60, 43.0 / 60]),
        ({"federation.strategy": "fedavgm", "federation.server_learning_rate": 0.5}, [35.5 / 120, 43.0 / 120]),
    ],
)
def test_a_strategy_computes_what_its_paper_says(changes: dict[str, Any], expected: list[float]) -> None:
    moved = make_strategy(TrainingPlan.from_flat(changes)).next_tail(1, TAIL, UPDATES)
    assert np.allclose(moved - TAIL, expected, atol=1e-6)


def test_server_momentum_carries_the_last_change_on() -> None:
    strategy = make_strategy(
        TrainingPlan.from_flat({"federation.strategy": "fedavgm", "federation.server_momentum": 0.5})
    )
    first = strategy.next_tail(1, TAIL, UPDATES)
    second = strategy.next_tail(2, first, UPDATES)
    assert np.allclose(second - first, 1.5 * (first - TAIL), atol=1e-5)


def test_multikrum_leaves_out_as_many_as_may_be_hostile_also_when_honest_ones_do_not_reply() -> None:
    plan = TrainingPlan.from_flat({"federation.strategy": "multikrum", "federation.malicious_sites": 1})
    strategy = make_strategy(plan)
    strategy.next_tail(1, TAIL, UPDATES)
    moved = strategy.next_tail(2, TAIL, {name: UPDATES[name] for name in ("a", "b", "c")})
    assert np.allclose(moved - TAIL, [39 / 40, 1 / 40], atol=1e-6)


def test_krum_finds_the_nearest_of_small_changes_to_a_large_tail() -> None:
    generator = np.random.default_rng(1)
    tail = generator.normal(0, 0.5, 200_000).astype(np.float32)
    directions = generator.normal(0, 5e-5, (4, len(tail)))
    updates = {f"edge-{number}": update(each, 10) for number, each in enumerate(directions)}
    updates["middle"] = update(directions.mean(axis=0), 10)
    for seed in range(5):
        names = list(updates)
        np.random.default_rng(seed).shuffle(names)
        renamed = {f"{place}-{name}": updates[name] for place, name in enumerate(names)}
        strategy = make_strategy(TrainingPlan.from_flat({"federation.strategy": "krum"}))
        moved = strategy.next_tail(1, tail, renamed) - tail
        assert np.linalg.norm(moved - updates["middle"].change) < 0.005
