"""Out-of-fold predictions: what all trainings of a study say of images they never saw, as panels and as a file."""

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from common.dataset.records import ImageRecord
from simulations.analysis.predictions import Predictions
from simulations.study.outcomes import Outcome
from simulations.study.trainings import Unit
from simulations.study.variants import Variant

Trained = Sequence[tuple[Unit, Outcome]]


def predictions_of(variant: Variant, trained: Trained) -> dict[str, Predictions]:
    """Return the panel of every arm: what it says of all tested images, in one common order.

    The local arm has two: "local", where every patient is judged by the model of his own hospital, and "local-all",
    where every hospital's model judges all patients.
    """
    places: dict[str, tuple[str, str, int]] = {}
    for unit, _ in trained:
        for record, site in _tested(unit):
            places[record.name] = (site, record.patient, record.label)
    # Site by site, as everywhere; within one by name.
    images = sorted(places, key=lambda name: (places[name][0], name))
    rows = {name: row for row, name in enumerate(images)}
    classes = len(variant.consortium.dataset.classes)
    found: defaultdict[tuple[str, str, int], np.ndarray[Any, Any]] = defaultdict(
        lambda: np.full((len(images), classes + 1), np.nan)
    )
    for unit, outcome in trained:
        sheet = found[(unit.arm, unit.site, unit.repeat)]
        for (record, _), probabilities in zip(_tested(unit), outcome.probabilities, strict=True):
            sheet[rows[record.name]] = [*probabilities, unit.fold]
    assert not any(np.isnan(sheet).any() for sheet in found.values())

    def panel(sheets: Sequence[np.ndarray[Any, Any]], repeats: Sequence[int]) -> Predictions:
        stacked = np.stack(sheets)
        return Predictions(
            images=np.array(images),
            sites=np.array([places[name][0] for name in images]),
            patients=np.array([places[name][1] for name in images]),
            labels=np.array([places[name][2] for name in images], dtype=np.int64),
            repeats=np.array(repeats, dtype=np.int64),
            folds=stacked[:, :, -1].astype(np.int64),
            probabilities=stacked[:, :, :-1],
        )

    repeats = sorted({repeat for _, _, repeat in found})
    panels = {}
    for arm in dict.fromkeys(arm for arm, _, _ in found):
        if arm != "local":
            panels[arm] = panel([found[arm, "", repeat] for repeat in repeats], repeats)
            continue
        models = [site.name for site in variant.consortium.sites]
        home = np.array([models.index(places[name][0]) for name in images])
        by_repeat = [np.stack([found[arm, model, repeat] for model in models]) for repeat in repeats]
        panels["local"] = panel([sheets[home, np.arange(len(images))] for sheets in by_repeat], repeats)
        panels["local-all"] = panel(
            [sheet for sheets in by_repeat for sheet in sheets], [repeat for repeat in repeats for _ in models]
        )
    return panels


def predictions_csv(variant: Variant, trained: Trained) -> str:
    """Return one line for each tested image, model and repeat: what it is and what the model says."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    classes = variant.consortium.dataset.classes
    columns = ("arm", "model", "repeat", "fold", "site", "image", "patient", "label", "predicted")
    writer.writerow([*columns, *(f"p_{name}" for name in classes)])
    for unit, outcome in trained:
        for (record, site), row in zip(_tested(unit), outcome.probabilities, strict=True):
            predicted = classes[int(np.argmax(row))]
            place = [unit.arm, unit.site, unit.repeat, unit.fold, site, record.name, record.patient]
            writer.writerow([*place, classes[record.label], predicted, *(f"{value:.6f}" for value in row)])
    return text.getvalue()


def _tested(unit: Unit) -> list[tuple[ImageRecord, str]]:
    """Return the unit's test images with their sites, in the order of its probabilities."""
    consortium = unit.consortium
    return list(zip(consortium.pooled("test"), consortium.site_of_each("test"), strict=True))
