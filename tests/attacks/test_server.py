"""An active server: it chooses the weights, the plan and what is asked, and wants to see a patient's image.

A hospital answers here as its runner does, without the processes around it: rules, memory, training, guard.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from flwr.app import Context, Error, Message, RecordDict
from numpy.typing import NDArray

from client.exposure.tail_origin import InitialTail, initial_tail
from client.rules.hospital_file import HospitalFile
from client.runner.local_app import local_client_app
from client.runner.message_handler import MessageHandler
from client.training.local_data import local_plan
from common.models.classifier import build_model
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.refusals import Rule, refusal
from tests.attacks.router import SIDE, brightness, router
from tests.client.hospital import write_hospital
from tests.client.runner.test_message_handler import BUNDLE, DIGEST
from tests.federation.data import PATIENTS, label, manifest, picture

GRID = 8
"""Rows and columns of the thumbnail that the server wants."""
BINS = 1000
CRAFTED: dict[str, Any] = {
    "model.freeze": "none",
    "data.size": SIDE,
    "data.denoise": "none",
    "augmentation.read_scale": 1.0,
    "augmentation.test_views": 0,
    "exchange.score_bins": BINS,
    "federation.rounds": 10_000,
}
WIDE = {
    "bounds": {"freeze": "none", "smallest_size": 32},
    "rounds": 10_000,
    "rounds_per_day": 100_000,
    "tests": 10_000,
    "federations": 10_000,
}
"""Rules of a hospital that lets a plan train the whole network on tiny images, and a server ask 10,000 times."""


class Victim:
    """A hospital, and what a server learns from it.

    Parameters
    ----------
    folder : Path
        Of its file and its state.
    data : Path
        Its images.
    rules
        Changes of its rules.
    """

    def __init__(self, folder: Path, data: Path, **rules: Any) -> None:
        given = {"apps": [DIGEST], "families": ["efficientnet_lite0"], "least_images": 5, **rules}
        self.file: HospitalFile = write_hospital(folder, data, name=folder.name, rules=given)
        self._app = local_client_app(self.file, folder / "layers")

    def answer(self, message: Message) -> RecordDict | Error:
        def compute(asked: Message, seconds: float) -> RecordDict:
            return self._app(asked, Context(1, 1, {}, RecordDict(), {})).content

        def initial(plan: TrainingPlan) -> InitialTail:
            return initial_tail(local_plan(plan, self.file))

        return MessageHandler(self.file, compute, initial).handle(message, BUNDLE, 1)

    def score(self, plan: TrainingPlan, tail: NDArray[np.float32], federation: str = "f") -> RecordDict | Error:
        config: dict[str, int | str] = {messages.FEDERATION: federation, messages.ROUND: 1, messages.SPLIT: "test"}
        content = messages.request_content(plan, config, tail)
        return self.answer(Message(content, dst_node_id=1, message_type="evaluate"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return manifest(tmp_path_factory.mktemp("data") / "tiny")


def crafted_plan(**changes: Any) -> TrainingPlan:
    return TrainingPlan.from_flat({**CRAFTED, "data.classes": "healthy,sick", **changes})


def readings(answer: RecordDict | Error) -> list[float]:
    """Return what the scores of the diseased images say, one for each image that the histogram shows."""
    if isinstance(answer, Error) or messages.SCORE_HISTOGRAM not in answer[messages.METRICS]:
        return []
    counts = np.array(answer[messages.METRICS][messages.SCORE_HISTOGRAM]).reshape(2, 2, -1)[1, 1]
    return [brightness((place + 0.5) / len(counts)) for place in np.flatnonzero(counts) for _ in range(counts[place])]


def thumbnails(victim: Victim, plan: TrainingPlan, reach: float = np.inf) -> NDArray[np.float64]:
    """Return the thumbnails that the server reconstructs: its guesses at each pixel of the images of one class.

    Parameters
    ----------
    victim, plan
        Who is asked, and by which plan.
    reach : float
        How far in each tensor the crafted tail may be from the initial one: the attack on a hospital that bounds it.

    Returns
    -------
    ndarray, shape (guesses, GRID, GRID)
        Sorted by brightness, pixel by pixel; empty where nothing was learnt.
    """
    origin = initial_tail(local_plan(plan, victim.file))
    model = build_model(plan, 2)
    seen: dict[tuple[int, int], list[float]] = {}
    for row in range(GRID):
        for column in range(GRID):
            step = SIDE // GRID
            tail = router(model, origin.layout, row * step, column * step)
            tail = towards(origin, tail, reach)
            told = readings(victim.score(plan, tail))
            if not told:
                return np.empty((0, GRID, GRID))
            seen[row, column] = told
    guesses = min(len(told) for told in seen.values())
    return np.array([[[seen[row, column][k] for column in range(GRID)] for row in range(GRID)] for k in range(guesses)])


def towards(origin: InitialTail, tail: NDArray[np.float32], reach: float) -> NDArray[np.float32]:
    """Return the tail on the way from the initial one to a crafted one that is as far as a hospital lets it be."""
    moved = []
    for change in origin.layout.tensors(tail - origin.values).values():
        size = float(np.sqrt(np.mean(change**2))) or 1.0
        moved.append(np.clip(change * min(1.0, reach / size), -4 * reach, 4 * reach).ravel())
    return origin.values + np.concatenate(moved).astype(np.float32)


def best_correlation(guesses: NDArray[np.float64]) -> float:
    """Return how well the best guess shows any image of the hospital."""
    step = SIDE // GRID
    seen = [cv2.resize(picture(each), (SIDE, SIDE), interpolation=cv2.INTER_AREA) for each in range(PATIENTS)]
    images = [seen[each][::step, ::step, 0].astype(float) for each in range(PATIENTS) if label(each)]
    found = [
        abs(float(np.corrcoef(guess.ravel(), image.ravel())[0, 1]))
        for guess in guesses
        for image in images
        if guess.std() > 0
    ]
    return max(found, default=0.0)


def test_by_default_no_plan_trains_the_whole_network_on_tiny_images(data: Path, tmp_path: Path) -> None:
    victim = Victim(tmp_path / "north", data, rounds=10_000)
    plan = crafted_plan()
    answer = victim.score(plan, initial_tail(local_plan(plan, victim.file)).values)
    assert isinstance(answer, Error)
    assert answer.reason == refusal(Rule.SMALLEST_SIZE)
    assert best_correlation(thumbnails(victim, plan)) == 0.0


def test_a_crafted_tail_is_refused_also_where_the_rules_allow_the_plan(data: Path, tmp_path: Path) -> None:
    victim = Victim(tmp_path / "north", data, **WIDE)
    assert best_correlation(thumbnails(victim, crafted_plan())) < 0.2


@pytest.mark.slow
def test_what_a_crafted_tail_shows_within_the_bound_is_no_image(data: Path, tmp_path: Path) -> None:
    victim = Victim(tmp_path / "north", data, suppress_below=0, **WIDE)
    guesses = thumbnails(victim, crafted_plan(), reach=0.99 * victim.file.rules.tails.reach)
    assert len(guesses), "the attack was answered"
    assert best_correlation(guesses) < 0.2
    unbounded = Victim(tmp_path / "south", data, suppress_below=0, tails={"reach": 1e6, "step": 1e6}, **WIDE)
    # Which image it finds, and how well, depends on the split that the hospital drew.
    assert best_correlation(thumbnails(unbounded, crafted_plan())) > 0.6


def test_plans_of_many_seeds_tell_no_image_s_score(data: Path, tmp_path: Path) -> None:
    """Of 43 images 40 could be told: each seed tested other patients, and each bin of a thousand held one of them."""
    victim = Victim(tmp_path / "north", data, federations=10_000)
    few = {"model.freeze": "all", "data.size": 64, "augmentation.test_views": 0, "exchange.score_bins": BINS}
    plans = [TrainingPlan.from_flat({**few, "training.seed": seed}) for seed in range(1, 9)]
    tested, small = set(), 0
    for number, plan in enumerate(plans):
        tail = initial_tail(local_plan(plan, victim.file)).values
        answer = victim.score(plan, tail, federation=f"f{number}")
        assert isinstance(answer, RecordDict)
        metrics = answer[messages.METRICS]
        if messages.SCORE_HISTOGRAM in metrics:
            counts = np.array(metrics[messages.SCORE_HISTOGRAM])
            small += int(((counts > 0) & (counts < victim.file.rules.suppress_below)).sum())
            tested.add(tuple(np.array(metrics[messages.SCORE_CONFUSION]).reshape(2, 2).sum(axis=1)))
    assert small == 0
    assert len(tested) <= 1, "every plan tests the same patients"


def test_one_federation_has_one_plan_and_few_tests(data: Path, tmp_path: Path) -> None:
    victim = Victim(tmp_path / "north", data)
    plan = TrainingPlan.from_flat({"model.freeze": "all", "data.size": 64, "augmentation.test_views": 0})
    tail = initial_tail(local_plan(plan, victim.file)).values
    told = [victim.score(plan, tail + np.float32(1e-4 * step)) for step in range(5)]
    assert [isinstance(answer, Error) for answer in told] == [False, False, False, True, True]
    assert isinstance(told[-1], Error)
    assert told[-1].reason == refusal(Rule.TESTS)
    other = victim.score(plan.changed({"training.seed": 2}), tail)
    assert isinstance(other, Error)
    assert other.reason == refusal(Rule.PLANS)


def test_invented_classes_are_no_channel(data: Path, tmp_path: Path) -> None:
    victim = Victim(tmp_path / "north", data)
    plan = TrainingPlan.from_flat({"model.freeze": "all", "data.size": 64, "data.classes": "healthy,sick,c3,c4,c5"})
    answer = victim.score(plan, initial_tail(local_plan(plan, victim.file)).values)
    assert isinstance(answer, Error)
    assert answer.reason == refusal(Rule.CLASSES)
