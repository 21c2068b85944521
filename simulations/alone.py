"""The trainings that need no federation: on pooled images, in one hospital, from scratch, and the linear probe.

They run in the workers of the simulation, each on one message, so that they share the machine with the federated arm.
"""

import hashlib
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from client.rounds import workbench
from client.site import Site
from common.exchange import digest_of
from common.manifest import ImageRecord
from common.metrics import mean_log_loss
from common.plan import TrainingPlan
from common.scoring import Score
from common.selection import Selection
from common.splits import split_records
from common.training import Budget
from server.course import Moment, moment_entry
from simulations.hospitals import Hospitals, load_hospitals
from simulations.outcomes import Outcome, rounded

# The inverse strengths of the probe's regularisation to choose from, and into how many parts the choice splits.
_PROBE_STRENGTHS = tuple(10.0**exponent for exponent in range(-5, 3))
_PROBE_PARTS = 4


def train_alone(plan: TrainingPlan, arm: str, site: str) -> Outcome:
    """Train one unit of an arm other than the federated one.

    Parameters
    ----------
    plan : TrainingPlan
        Of the unit.
    arm : str
        "centralized", "scratch", "local" or "probe".
    site : str
        The hospital of a local training; else "".

    Returns
    -------
    Outcome
        Tested on the test patients of all hospitals.
    """
    # Where all images lie in one place, all layers do: no strategy leaves some of them elsewhere.
    plan = plan.changed({"federation.strategy": "fedavg"})
    hospitals = load_hospitals(plan)
    if arm == "probe":
        return _probe(plan, hospitals)
    if arm == "local":
        split = next(one.split for one in hospitals.sites if one.name == site)
        return _train(plan, hospitals, site, split.train, split.validation, plan.training.batch_size)
    train, validation = hospitals.pooled("train"), hospitals.pooled("validation")
    return _train(plan, hospitals, arm, train, validation, plan.study.centralized_batch_size)


def predict_with(
    plan: TrainingPlan, tail: NDArray[np.float32], layers_of: Callable[[int, Site], NDArray[np.float32] | None]
) -> list[list[float]]:
    """Return what a tail says of the test images of all hospitals.

    Parameters
    ----------
    plan : TrainingPlan
        Of the federation.
    tail : ndarray of float32, shape (layout.size,)
        The global one.
    layers_of : callable
        Returns the layers of its own with which a site, given by number and itself, uses the tail.
    """
    hospitals = load_hospitals(plan)
    bench = workbench(plan, len(hospitals.dataset.classes))
    views = plan.augmentation.tested
    if not bench.personal.names:
        bench.load(tail)
        return rounded(bench.trainer.predict(hospitals.pooled("test"), views))
    parts = []
    for number, site in enumerate(hospitals.sites):
        bench.load(tail, layers_of(number, site))
        parts.append(bench.trainer.predict(site.split.test, views))
    return rounded(np.concatenate(parts))


def _train(
    plan: TrainingPlan,
    hospitals: Hospitals,
    name: str,
    train: Sequence[ImageRecord],
    validation: Sequence[ImageRecord],
    batch_size: int,
) -> Outcome:
    """Train on images that lie in one place, from the same start as the federation."""
    started = time.monotonic()
    bench = workbench(plan, len(hospitals.dataset.classes))
    trainer, layout, tail = bench.trainer, bench.layout, bench.trainer.model.tail
    bench.load(bench.initial_tail)
    epochs = plan.study.centralized_epochs
    selection = Selection(plan.federation.select)
    history: list[Moment] = []

    def after_pass(pass_index: int, loss: float) -> None:
        score = Score.of(validation, trainer.predict(validation), plan.exchange.score_bins)
        history.append(Moment((pass_index + 1) / epochs, loss, score))
        selection.offer(layout.pack(tail), score, history[-1].progress)

    trainer.fit(train, Budget(0, epochs, epochs), name=name, batch_size=batch_size, on_pass=after_pass)
    kept = selection.kept
    assert kept is not None
    layout.unpack(kept.tail, tail)
    return Outcome(
        probabilities=rounded(trainer.predict(hospitals.pooled("test"), plan.augmentation.tested)),
        history=[moment_entry(moment) for moment in history],
        selected=kept.progress,
        wall_s=time.monotonic() - started,
        image_passes=epochs * len(train),
        trained_parameters=layout.size,
        total_parameters=trainer.model.parameter_count,
        weights_digest=digest_of(kept.tail),
    )


def _probe(plan: TrainingPlan, hospitals: Hospitals) -> Outcome:
    """Fit a logistic regression on the features of the wholly frozen network (Alain & Bengio 2016).

    The pooled hospitals' training and validation images, without augmentation. The strength of the L2 regularisation is
    the one with the lowest log loss over an inner cross-validation over their patients; of equal ones the strongest.
    """
    started = time.monotonic()
    classes = len(hospitals.dataset.classes)
    frozen = plan.changed({"model.freeze": "all"})
    bench = workbench(frozen, classes)
    trainer = bench.trainer
    known = [*hospitals.pooled("train"), *hospitals.pooled("validation")]
    features, labels = trainer.features(known), np.array([record.label for record in known])
    strength = _choose_strength(known, features, labels, plan.training.seed)
    model = _regression(strength).fit(features, labels)
    coefficients = np.concatenate([model[-1].coef_.ravel(), model[-1].intercept_])
    return Outcome(
        probabilities=rounded(_probabilities(model, trainer.features(hospitals.pooled("test")), classes)),
        selected=1.0,
        wall_s=time.monotonic() - started,
        image_passes=0,
        trained_parameters=bench.layout.size,
        total_parameters=trainer.model.parameter_count,
        weights_digest=hashlib.sha256(np.ascontiguousarray(coefficients, dtype="<f8").tobytes()).hexdigest(),
    )


def _choose_strength(
    records: Sequence[ImageRecord], features: NDArray[np.float64], labels: NDArray[np.int64], seed: int
) -> float:
    rows = {record.name: row for row, record in enumerate(records)}
    losses = dict.fromkeys(_PROBE_STRENGTHS, 0.0)
    for part in range(_PROBE_PARTS):
        split = split_records(records, test_fraction=1 / _PROBE_PARTS, validation_fraction=0, fold=part, seed=seed)
        train, test = ([rows[record.name] for record in chosen] for chosen in (split.train, split.test))
        if not test or len(set(labels[train])) < 2:
            continue
        for strength in _PROBE_STRENGTHS:
            model = _regression(strength).fit(features[train], labels[train])
            probabilities = _probabilities(model, features[test], labels.max() + 1)
            losses[strength] += len(test) * mean_log_loss(labels[test], probabilities)
    return min(_PROBE_STRENGTHS, key=lambda strength: (losses[strength], strength))


def _regression(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000))


def _probabilities(model: Pipeline, features: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """Return probabilities of all classes, also of those that no training image had."""
    found = np.zeros((len(features), classes))
    if len(features):
        found[:, model.classes_] = model.predict_proba(features)
    return found
