"""Out-of-fold predictions: what the trainings of a study say about images that they never saw."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from common.dataset.records import ImageRecord
from simulations.analysis.predictions import Predictions
from simulations.analysis.predictions_csv import PredictionRow
from simulations.study.arms import ARMS
from simulations.study.outcomes import Outcome
from simulations.study.trainings import Unit
from simulations.study.variants import Variant

Trained = Sequence[tuple[Unit, Outcome]]
"""Finished trainings with what came of them."""


def predictions_of(variant: Variant, trained: Trained) -> dict[str, Predictions]:
    """Return the predictions of every arm for all tested images, in one common order.

    An arm with one model per site has two: in its own, every patient is judged by the model of his hospital; in that of
    `Arm.judged_everywhere_as`, every hospital's model judges all patients.
    """
    places: dict[str, tuple[str, str, int]] = {}
    for unit, _ in trained:
        for record, site in _tested(unit):
            places[record.name] = (site, record.patient, record.label)
    # Site by site, as everywhere; within one by name.
    images = sorted(places, key=lambda name: (places[name][0], name))
    sets = _complete_sets(trained, images, classes=len(variant.consortium.dataset.classes))

    def stack(chosen: Sequence[NDArray[np.float64]], repeats: Sequence[int]) -> Predictions:
        stacked = np.stack(chosen)
        return Predictions(
            images=np.array(images),
            sites=np.array([places[name][0] for name in images]),
            patients=np.array([places[name][1] for name in images]),
            labels=np.array([places[name][2] for name in images], dtype=np.int64),
            repeats=np.array(repeats, dtype=np.int64),
            models=stacked[:, :, -1].astype(np.int64),
            probabilities=stacked[:, :, :-1],
        )

    repeats = sorted({repeat for _, _, repeat in sets})
    found = {}
    for arm in dict.fromkeys(arm for arm, _, _ in sets):
        if not ARMS[arm].one_model_per_site:
            found[arm] = stack([sets[arm, "", repeat] for repeat in repeats], repeats)
            continue
        models = [site.name for site in variant.consortium.sites]
        own_model = np.array([models.index(places[name][0]) for name in images])
        by_repeat = [np.stack([sets[arm, model, repeat] for model in models]) for repeat in repeats]
        for one in by_repeat:
            # A number for each model of a fold and a hospital.
            one[:, :, -1] = one[:, :, -1] * len(models) + np.arange(len(models))[:, None]
        found[arm] = stack([one[own_model, np.arange(len(images))] for one in by_repeat], repeats)
        found[ARMS[arm].judged_everywhere_as] = stack(
            [by_model for one in by_repeat for by_model in one], [repeat for repeat in repeats for _ in models]
        )
    return found


def prediction_rows(trained: Trained) -> Iterator[PredictionRow]:
    """Yield one row for each tested image, model and repeat, as `predictions.csv` holds them."""
    for unit, outcome in trained:
        for (record, site), row in zip(_tested(unit), outcome.probabilities, strict=True):
            yield PredictionRow(
                arm=unit.arm,
                model=unit.site,
                repeat=unit.repeat,
                fold=unit.fold,
                site=site,
                image=record.name,
                patient=record.patient,
                label=record.label,
                probabilities=row,
            )


def _complete_sets(
    trained: Trained, images: Sequence[str], classes: int
) -> dict[tuple[str, str, int], NDArray[np.float64]]:
    """Return by arm, hospital and repeat one row for each image: its probabilities, and the fold that tested it."""
    rows = {name: row for row, name in enumerate(images)}
    sets: defaultdict[tuple[str, str, int], NDArray[np.float64]] = defaultdict(
        lambda: np.full((len(images), classes + 1), np.nan)
    )
    for unit, outcome in trained:
        predicted = sets[unit.arm, unit.site, unit.repeat]
        for (record, _), probabilities in zip(_tested(unit), outcome.probabilities, strict=True):
            predicted[rows[record.name]] = [*probabilities, unit.fold]
    assert not any(np.isnan(predicted).any() for predicted in sets.values())
    return sets


def _tested(unit: Unit) -> list[tuple[ImageRecord, str]]:
    """Return the unit's test images with their sites, in the order of its probabilities."""
    consortium = unit.consortium
    return list(zip(consortium.pooled("test"), consortium.site_of_each("test"), strict=True))
