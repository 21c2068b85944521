"""The linear probe: a logistic regression on the pretrained network's features."""

import hashlib
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from common.dataset.records import ImageRecord
from common.dataset.splits import split_records
from common.evaluation.metrics import mean_log_loss
from common.plan.training_plan import TrainingPlan
from common.training.workbench import workbench
from simulations.sites.consortium import SimulatedConsortium
from simulations.study.outcomes import Outcome, rounded

# Inverse strengths of the regularisation to choose from (`C` of scikit-learn), and the folds of the choice.
_STRENGTHS = tuple(10.0**exponent for exponent in range(-5, 3))
_FOLDS = 4


def fit_probe(plan: TrainingPlan, consortium: SimulatedConsortium) -> Outcome:
    """Fit a logistic regression on the features of the wholly frozen network (Alain & Bengio 2016).

    It is fitted to the training and validation images of all hospitals, without augmentation. The strength of the L2
    regularisation is the one with the lowest log loss in an inner cross-validation over their patients; of equal ones
    the strongest.
    """
    started = time.monotonic()
    classes = len(consortium.dataset.classes)
    frozen = plan.changed({"model.freeze": "all"})
    bench = workbench(frozen, classes)
    trainer = bench.trainer
    known = [*consortium.pooled("train"), *consortium.pooled("validation")]
    features, labels = trainer.features(known), np.array([record.label for record in known])
    if len(set(labels)) < 2:  # nothing to tell apart: every image is of the one class that there is
        model: Pipeline = make_pipeline(StandardScaler(), DummyClassifier(strategy="prior"))
    else:
        model = _regression(_choose_strength(known, features, labels, plan.training.seed))
    model.fit(features, labels)
    fitted = [getattr(model[-1], name, np.empty(0)).ravel() for name in ("coef_", "intercept_")]
    coefficients = np.concatenate(fitted)
    return Outcome(
        probabilities=rounded(_probabilities(model, trainer.features(consortium.pooled("test")), classes)),
        selected=1.0,
        wall_s=time.monotonic() - started,
        samples_seen=0,
        trained_parameters=bench.layout.size,
        total_parameters=trainer.model.parameter_count,
        weights_digest=hashlib.sha256(np.ascontiguousarray(coefficients, dtype="<f8").tobytes()).hexdigest(),
    )


def _choose_strength(
    records: Sequence[ImageRecord], features: NDArray[np.float64], labels: NDArray[np.int64], seed: int
) -> float:
    rows = {record.name: row for row, record in enumerate(records)}
    losses = dict.fromkeys(_STRENGTHS, 0.0)
    for fold in range(_FOLDS):
        split = split_records(records, test_fraction=1 / _FOLDS, validation_fraction=0, fold=fold, seed=seed)
        train, test = ([rows[record.name] for record in chosen] for chosen in (split.train, split.test))
        if not test or len(set(labels[train])) < 2:
            continue
        for strength in _STRENGTHS:
            model = _regression(strength).fit(features[train], labels[train])
            probabilities = _probabilities(model, features[test], labels.max() + 1)
            losses[strength] += len(test) * mean_log_loss(labels[test], probabilities)
    return min(_STRENGTHS, key=lambda strength: (losses[strength], strength))


def _regression(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000))


def _probabilities(model: Pipeline, features: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """Return probabilities of all classes, also of those that no training image had."""
    found = np.zeros((len(features), classes))
    if len(features):
        found[:, model.classes_] = model.predict_proba(features)
    return found
