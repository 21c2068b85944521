"""Paired tests of accuracy and AUC: is one classifier better than another on the same images or patients?

Two classifiers agree on most images; a paired test looks only at where they differ, and finds differences that two
separate intervals do not show.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, norm

from common.evaluation.weighted_auc import ranked_classes
from common.statistics.patients import sum_by_patient


@dataclass(frozen=True)
class PairedTest:
    """Two classifiers on the same images.

    Attributes
    ----------
    only_first, only_second : int
        Images that one of them got right and the other wrong.
    total : int
        Images that both classified.
    p_value : float
        Two-sided; the probability of a split at least as uneven if both were equally good. 1 when they never differ.
    """

    only_first: int
    only_second: int
    total: int
    p_value: float


def mcnemar_test(first_correct: ArrayLike, second_correct: ArrayLike) -> PairedTest:
    """Test whether two classifiers are equally often right on the same images (exact McNemar test).

    Parameters
    ----------
    first_correct, second_correct : array_like of bool, shape (images,)
        Whether each was right, image by image in the same order.

    References
    ----------
    Q. McNemar (1947). Psychometrika 12, 153-157; exact binomial form.
    """
    first: NDArray[np.bool_] = np.asarray(first_correct, dtype=bool)
    second: NDArray[np.bool_] = np.asarray(second_correct, dtype=bool)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"the two classifiers saw different images: shapes {first.shape} and {second.shape}")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    discordant = only_first + only_second
    p_value = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    return PairedTest(only_first, only_second, int(first.size), p_value)


def sign_flip_test(first_correct: ArrayLike, second_correct: ArrayLike, patients: ArrayLike) -> float:
    """Test by patient whether two classifiers are equally often right, over all their sets of predictions.

    If they were equally good, each patient's difference could as well have the other sign. The p-value is the share of
    all sign patterns in which the sum of the differences is at least as far from 0 as the observed one. It is exact:
    the differences are whole multiples of a common unit, so that the distribution of their sum is computed by adding
    one patient after the other. With one set and one image per patient this is the exact McNemar test.

    Parameters
    ----------
    first_correct, second_correct : array_like of bool, shapes (S1, N) and (S2, N)
        Whether each was right, by set of predictions and image; the numbers of sets may differ.
    patients : array_like of str, shape (N,)
        Patient of each image.

    Returns
    -------
    float
        Two-sided p-value in (0, 1]; 1 when no patient differs.

    References
    ----------
    R. A. Fisher (1935). The Design of Experiments, section 21. Distribution by convolution: B. Streitberg, J. Röhmel
    (1986). Exact distributions for permutation and rank tests. Statistical Software Newsletter 12, 10-17.
    """
    first: NDArray[np.bool_] = np.asarray(first_correct, dtype=bool)
    second: NDArray[np.bool_] = np.asarray(second_correct, dtype=bool)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or not (len(first) and len(second)):
        raise ValueError(f"the two classifiers saw different images: shapes {first.shape} and {second.shape}")
    unit = int(np.lcm(len(first), len(second)))
    by_image = first.sum(axis=0) * (unit // len(first)) - second.sum(axis=0) * (unit // len(second))
    steps = sum_by_patient(by_image.astype(np.float64), patients).astype(np.int64)
    steps = steps[steps != 0]
    if steps.size == 0:
        return 1.0
    steps //= np.gcd.reduce(steps)
    found, sizes = abs(int(steps.sum())), np.abs(steps)
    # chances[k] is the probability that the patients with a negative sign add up to k; the sum is then whole - 2 k.
    whole = int(sizes.sum())
    chances = np.zeros(whole + 1)
    chances[0] = 1.0
    for size in sizes.tolist():
        chances[size:] = (chances[size:] + chances[:-size]) / 2
        chances[:size] /= 2
    extreme = np.abs(whole - 2 * np.arange(whole + 1)) >= found
    return min(1.0, float(chances[extreme].sum()))


class RankedSet(NamedTuple):
    """One set of predictions for the DeLong test.

    Attributes
    ----------
    probabilities : ndarray of float64, shape (N, classes)
    models : ndarray of int64, shape (N,)
        Which model made each prediction; only scores of one model are ranked against each other.
    """

    probabilities: NDArray[np.float64]
    models: NDArray[np.int64]


@dataclass(frozen=True)
class DeLongTest:
    """Difference of two AUCs on the same patients.

    Attributes
    ----------
    difference : float
        AUC of the first less that of the second.
    p_value : float
        Two-sided, of the normal distribution. 1 when the difference is 0.
    """

    difference: float
    p_value: float


def delong_test(
    labels: ArrayLike, first: list[RankedSet], second: list[RankedSet], patients: ArrayLike
) -> DeLongTest | None:
    """Test whether two classifiers have the same AUC on the same patients.

    The structural components of every image are averaged over the sets of predictions and summed by patient; folds are
    weighted by their pairs. With one set, one fold and one image per patient this is the test of DeLong et al.; with
    several images per patient, Obuchowski's. With more than two classes the components are averaged over the
    one-vs-rest AUCs, and the variance is that of the patients' sums.

    Parameters
    ----------
    labels : array_like of int, shape (N,)
        In [0, classes).
    first, second : list of RankedSet
        Of the same images; the numbers of sets may differ. Sets without a pair are left out.
    patients : array_like of str, shape (N,)
        Patient of each image.

    Returns
    -------
    DeLongTest or None
        None when a class has fewer than two patients, when no set has a pair, or when the AUCs differ with a variance
        of 0, as with one perfect and one constant classifier: the normal distribution does not apply there.

    References
    ----------
    E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson (1988). Biometrics 44, 837-845. Clusters: N. A. Obuchowski (1997).
    Nonparametric analysis of clustered ROC curve data. Biometrics 53, 567-578.
    """
    truth, names = np.asarray(labels, dtype=np.int64), np.asarray(patients, dtype=np.str_)
    one, other = _components(truth, first), _components(truth, second)
    if one is None or other is None:
        return None
    difference = one[0] - other[0]
    variance = _variance(truth, one[1] - other[1], names, binary=first[0].probabilities.shape[1] == 2)
    if variance is None:
        return None
    # Components that cancel leave rounding errors, which would look like a tiny variance.
    if variance < 1e-14:
        return DeLongTest(difference, 1.0) if abs(difference) < 1e-12 else None
    error = float(np.sqrt(variance))
    return DeLongTest(difference, float(2 * norm.sf(abs(difference) / error)))


def _components(labels: NDArray[np.int64], sets: list[RankedSet]) -> tuple[float, NDArray[np.float64]] | None:
    """Return the AUC, and how far each image moves it: shape (2, N), as a positive and as a negative image."""
    areas, all_moves = [], []
    for probabilities, models in sets:
        classes = list(ranked_classes(labels, probabilities, models))
        if classes:
            areas.append(float(np.mean([one.area for one in classes])))
            all_moves.append(np.mean([one.moves for one in classes], axis=0))
    return (float(np.mean(areas)), np.mean(all_moves, axis=0)) if areas else None


def _variance(
    labels: NDArray[np.int64], moves: NDArray[np.float64], patients: NDArray[np.str_], binary: bool
) -> float | None:
    """Return the variance of the sum of all moves, with patients as the independent units."""
    sides = [np.unique(patients[labels == index]).size for index in np.unique(labels)]
    if min(sides) < 2:
        return None
    everyone = np.unique(patients).size
    if not binary:
        return float(everyone / (everyone - 1) * (sum_by_patient(moves.sum(axis=0), patients) ** 2).sum())
    negatives, positives = sides
    positive, negative = sum_by_patient(moves[0], patients), sum_by_patient(moves[1], patients)
    return float(
        positives / (positives - 1) * (positive**2).sum()
        + negatives / (negatives - 1) * (negative**2).sum()
        + 2 * everyone / (everyone - 1) * (positive * negative).sum()
    )
