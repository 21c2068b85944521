"""The arms of the comparison: the same recipe on the same split, federated, pooled, and in each hospital alone."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from flwr.serverapp import Grid
from numpy.typing import NDArray

from common import exchange
from common.exchange import TailLayout
from common.manifest import ImageRecord
from common.plan import TrainingPlan
from common.scoring import Score
from common.selection import Selection
from common.training import Budget, Trainer
from server.federation import Federation, FederationResult, Member, RoundReport, wait_for_nodes
from simulations.hospitals import Hospitals


@dataclass(frozen=True)
class Moment:
    """One point of a learning curve.

    Attributes
    ----------
    progress : float
        Share of the arm's budget, in [0, 1].
    train_loss : float or None
        Mean over the last pass.
    validation : Score or None
        Of the model at this moment.
    """

    progress: float
    train_loss: float | None
    validation: Score | None


@dataclass(frozen=True)
class Trained:
    """One selected model and what it says of every test image.

    Attributes
    ----------
    tail : ndarray of float32
        The selected tail.
    probabilities : ndarray of float64, shape (test images, classes)
        In the order of `Hospitals.pooled("test")`.
    selected : float
        When the tail was selected, as a share of the budget.
    """

    tail: NDArray[np.float32]
    probabilities: NDArray[np.float64]
    selected: float


@dataclass(frozen=True)
class Arm:
    """The outcome of one arm.

    Attributes
    ----------
    name : str
        "federated", "centralized" or "local".
    models : dict of str to Trained
        One model under the name "", or one a site under the sites' names.
    history : tuple of Moment
        The learning curve; of the local arm pooled over the sites.
    wall_s : float
        Seconds of training and scoring.
    image_passes : int
        How many training images were shown, all sites together.
    """

    name: str
    models: dict[str, Trained]
    history: tuple[Moment, ...]
    wall_s: float
    image_passes: int


@dataclass
class Workshop:
    """The server process's own model, in which it trains the arms that need no federation and predicts for all.

    A real server has no such thing, since it has no images; only the simulation may compare.
    """

    plan: TrainingPlan
    hospitals: Hospitals
    trainer: Trainer = field(init=False)
    layout: TailLayout = field(init=False)
    initial_tail: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        self.trainer = Trainer.of_plan(self.plan, len(self.hospitals.dataset.classes))
        self.layout = TailLayout.of(self.trainer.model.tail, self.plan.model.batch_norm)
        self.initial_tail = self.layout.pack(self.trainer.model.tail)

    def test(self, tail: NDArray[np.float32], selected: float) -> Trained:
        """Predict every site's test images with a tail."""
        self.layout.unpack(tail, self.trainer.model.tail)
        return Trained(tail, self.trainer.predict(self.hospitals.pooled("test")), selected)

    def train_alone(
        self,
        name: str,
        train: Sequence[ImageRecord],
        validation: Sequence[ImageRecord],
        batch_size: int,
        on_pass: Callable[[int, Moment], None],
    ) -> tuple[Trained, list[Moment]]:
        """Train on images that lie in one place, from the same start as the federation."""
        epochs = self.plan.study.centralized_epochs
        selection = Selection(self.plan.federation.select)
        tail = self.trainer.model.tail
        self.layout.unpack(self.initial_tail, tail)
        history: list[Moment] = []

        def after_pass(pass_index: int, loss: float) -> None:
            score = Score.of(validation, self.trainer.predict(validation), self.plan.exchange.score_bins)
            moment = Moment((pass_index + 1) / epochs, loss, score)
            history.append(moment)
            selection.offer(self.layout.pack(tail), score, moment.progress)
            on_pass(pass_index, moment)

        self.trainer.fit(train, Budget(0, epochs, epochs), name=name, batch_size=batch_size, on_pass=after_pass)
        assert selection.tail is not None
        return self.test(selection.tail, selection.progress), history


def run_federated(shop: Workshop, grid: Grid, on_round: Callable[[RoundReport], None]) -> tuple[Arm, FederationResult]:
    """Run the federation over Flower, one message a site and round, and test the selected model."""
    started = time.monotonic()
    plan, sites = shop.plan, shop.hospitals.sites
    nodes = wait_for_nodes(grid, 1, plan.federation.wait_seconds)
    members = [Member(nodes[number % len(nodes)], {exchange.SITE: number}) for number in range(len(sites))]
    federation = Federation(
        grid,
        plan,
        classes=len(shop.hospitals.dataset.classes),
        layout=shop.layout,
        trunk_digest=shop.trainer.model.trunk_digest,
        on_round=on_round,
    )
    result = federation.run(members, shop.initial_tail)
    total = plan.federation.rounds
    # The score of a round's message is of the tail that the round before made.
    losses = [None, *(report.train_loss for report in result.rounds)]
    history = tuple(
        Moment(number / total, loss, score)
        for number, (loss, score) in enumerate(zip(losses, result.validation, strict=True))
    )
    passes = plan.federation.local_epochs * sum(
        site.images for report in result.rounds for site in report.sites.values()
    )
    trained = shop.test(result.tail, result.selected_round / total)
    return Arm("federated", {"": trained}, history, time.monotonic() - started, passes), result


def run_centralized(shop: Workshop, on_pass: Callable[[int, Moment], None]) -> Arm:
    """Train on all sites' training images pooled: what the law forbids, and what federating is measured against."""
    started = time.monotonic()
    train = shop.hospitals.pooled("train")
    study = shop.plan.study
    trained, history = shop.train_alone(
        "centralized", train, shop.hospitals.pooled("validation"), study.centralized_batch_size, on_pass
    )
    passes = len(train) * study.centralized_epochs
    return Arm("centralized", {"": trained}, tuple(history), time.monotonic() - started, passes)


def run_local(shop: Workshop, on_pass: Callable[[str, int, Moment], None]) -> Arm:
    """Train each hospital alone on its own images; every model is tested on all hospitals' patients."""
    started = time.monotonic()
    models: dict[str, Trained] = {}
    histories: list[list[Moment]] = []
    for site in shop.hospitals.sites:

        def report(pass_index: int, moment: Moment, name: str = site.name) -> None:
            on_pass(name, pass_index, moment)

        models[site.name], history = shop.train_alone(
            site.name, site.split.train, site.split.validation, shop.plan.training.batch_size, report
        )
        histories.append(history)
    images = [len(site.split.train) for site in shop.hospitals.sites]
    passes = sum(images) * shop.plan.study.centralized_epochs
    curve = tuple(_pool(moments, images) for moments in zip(*histories, strict=True))
    return Arm("local", models, curve, time.monotonic() - started, passes)


def _pool(moments: Sequence[Moment], images: Sequence[int]) -> Moment:
    loss = sum((m.train_loss or 0.0) * count for m, count in zip(moments, images, strict=True)) / sum(images)
    scores = [moment.validation for moment in moments if moment.validation]
    return Moment(moments[0].progress, loss, Score.pool(scores))
