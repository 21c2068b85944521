import numpy as np

from common.metrics import confusion_matrix
from common.plan import TrainingPlan
from common.roc import ScoreHistogram
from common.scoring import Score
from server.replies import SiteReport, Update
from server.strategies import make_strategy


def update(change: list[float], images: int) -> Update:
    empty = np.empty((0, 2))
    score = Score(0.0, confusion_matrix([], [], 2), ScoreHistogram.from_scores([], empty, 4))
    return Update(np.array(change, np.float32), SiteReport(images, 0.5, 1.0, score))


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
