"""Why two runs cannot be tested against each other: a paired test needs the same images of the same patients."""

import numpy as np

from common.system.wording import plural
from simulations.analysis.predictions import Predictions


def why_not_paired(first: Predictions, second: Predictions) -> str | None:
    """Return why the predictions of one arm of two runs cannot be paired; None where they can.

    Parameters
    ----------
    first, second : Predictions
        Of the same arm, each with its images in any order.

    Returns
    -------
    str or None
        A clause such as "only 40 images in common, of 200 and 120".
    """
    if second.aligned_with(first) is not None:
        return None if len(first.images) else "neither tested an image"
    names, counts = np.intersect1d(first.images, second.images), (len(first.images), len(second.images))
    if not len(names):
        return "no image in common"
    if first.probabilities.shape[2] != second.probabilities.shape[2]:
        return f"{first.probabilities.shape[2]} classes in one and {second.probabilities.shape[2]} in the other"
    if len(names) < max(counts):
        return f"only {plural(len(names), 'image')} in common, of {counts[0]} and {counts[1]}"
    order = [np.argsort(each.images) for each in (first, second)]
    for what in ("labels", "patients"):
        one, other = (getattr(each, what)[places] for each, places in zip((first, second), order, strict=True))
        if differing := int((one != other).sum()):
            noun = "class" if what == "labels" else "patient"
            return f"{differing} of their {plural(counts[0], 'image')} have another {noun} in the other run"
    return "one run names several images alike"


def why_no_numbers(predictions: Predictions, *, accuracy: bool, auc: bool) -> str | None:
    """Return why a paired test told nothing of accuracy or AUC; None where it told both.

    Parameters
    ----------
    predictions : Predictions
        Of either run.
    accuracy, auc : bool
        Whether the test has a difference in them.
    """
    lacking = [name for name, told in (("accuracy", accuracy), ("AUC", auc)) if not told]
    if not lacking:
        return None
    patients = {
        int(label): len(np.unique(predictions.patients[predictions.labels == label]))
        for label in range(predictions.probabilities.shape[2])
    }
    fewest = min(patients.values())
    reason = (
        f"too few patients: {fewest} of one class were tested, at least 2 are needed"
        if fewest < 2
        else "no model tested images of two classes, or nothing varies"
    )
    return f"{' and '.join(lacking)} not tested, {reason}"
