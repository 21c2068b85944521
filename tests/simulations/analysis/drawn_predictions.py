"""Predictions drawn from a model whose true metrics are known."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr

from simulations.analysis.predictions import Predictions

POSITIVE = 0.55


def patients_of(images: int, doubles: int = 0) -> NDArray[np.str_]:
    """Name the patient of each image: this many patients have two, the others one."""
    return np.array([f"p{max(index // 2, index - doubles):04d}" for index in range(images)])


def draw_predictions(
    generator: np.random.Generator,
    patients: NDArray[np.str_],
    separations: list[float],
    sets: int = 1,
    folds: int = 1,
    sites: int = 1,
    shared: float = 0.6,
) -> list[Predictions]:
    """Draw predictions for each separation, from classifiers that find the same images hard.

    A patient is positive with the chance `POSITIVE`. A score is +-separation / 2 by class, and a normal deviate: half
    patient and half image, of which classifiers and sets have the share `shared` in common. So sensitivity, specificity
    and accuracy are Phi(separation / 2), and the AUC is Phi(separation / sqrt 2).
    """
    images = len(patients)
    _, patient = np.unique(patients, return_inverse=True)
    labels = (generator.random(patient.max() + 1) < POSITIVE).astype(np.int64)[patient]

    def deviates() -> NDArray[np.float64]:
        return np.sqrt(0.5) * (generator.normal(size=patient.max() + 1)[patient] + generator.normal(size=images))

    common = deviates()
    fold = generator.permutation(patient.max() + 1)[patient] % folds
    drawn = []
    for separation in separations:
        rows = []
        for _ in range(sets):
            latent = separation * (labels - 0.5) + np.sqrt(shared) * common + np.sqrt(1 - shared) * deviates()
            positive = expit(2 * latent)
            rows.append(np.stack([1 - positive, positive], axis=1))
        drawn.append(make_predictions(patients, labels, np.array(rows), models=np.tile(fold, (sets, 1)), sites=sites))
    return drawn


def make_predictions(
    patients: NDArray[Any],
    labels: NDArray[Any],
    probabilities: NDArray[Any],
    models: NDArray[Any] | None = None,
    repeats: list[int] | None = None,
    sites: int = 1,
) -> Predictions:
    """Wrap arrays; patients are dealt to the sites in turn."""
    sets, images = probabilities.shape[:2]
    _, patient = np.unique(patients, return_inverse=True)
    return Predictions(
        images=np.array([f"image{i}" for i in range(images)], dtype=np.str_),
        sites=np.array([f"site{index % sites}" for index in patient], dtype=np.str_),
        patients=np.asarray(patients, dtype=np.str_),
        labels=np.asarray(labels, dtype=np.int64),
        repeats=np.array(repeats if repeats is not None else range(sets), dtype=np.int64),
        models=np.zeros((sets, images), dtype=np.int64) if models is None else models,
        probabilities=np.asarray(probabilities, dtype=np.float64),
    )


def true_metrics(separation: float) -> dict[str, float]:
    """The metrics that infinitely many patients would give."""
    rate = float(ndtr(separation / 2))
    hits, false_alarms, missed = POSITIVE * rate, (1 - POSITIVE) * (1 - rate), POSITIVE * (1 - rate)
    return {
        "accuracy": rate,
        "sensitivity": rate,
        "specificity": rate,
        "precision": hits / (hits + false_alarms),
        "f1": 2 * hits / (2 * hits + false_alarms + missed),
        "auc": float(ndtr(separation / np.sqrt(2))),
    }
