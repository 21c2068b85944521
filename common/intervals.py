"""How sure a number is: intervals for a share and for an AUC, and a paired test of two classifiers.

All of them take every image as one independent draw. Images of one patient resemble each other, so where patients
have several images the true uncertainty is somewhat larger than what stands here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import binomtest, norm, rankdata


def wilson_interval(successes: int, total: int, confidence: float = 0.95) -> tuple[float, float] | None:
    """Return the Wilson score interval of a share.

    Parameters
    ----------
    successes, total : int
        Counts with 0 <= successes <= total.
    confidence : float
        Coverage, in (0, 1).

    Returns
    -------
    tuple of float or None
        Lower and upper limit in [0, 1]; None when `total` is 0.

    References
    ----------
    E. B. Wilson (1927). Probable inference, the law of succession, and statistical inference. JASA 22, 209-212.
    """
    if total == 0:
        return None
    limits = binomtest(successes, total).proportion_ci(confidence_level=confidence, method="wilson")
    return float(limits.low), float(limits.high)


def auc_interval(labels: ArrayLike, probabilities: ArrayLike, confidence: float = 0.95) -> tuple[float, float] | None:
    """Return an interval of the binary AUC: DeLong's variance on the logit scale.

    DeLong's variance says 0, and so "perfectly sure", when the scores separate the classes wholly or not at all, and it
    is undefined with a single image in a class. Small hospitals meet both; there the score-type interval of Newcombe
    (method 5), which needs only the AUC and the counts, takes its place.

    Parameters
    ----------
    labels : array_like, shape (images,)
        0 or 1.
    probabilities : array_like, shape (images, 2)
        Column 1 is the score of class 1.
    confidence : float
        Coverage, in (0, 1).

    Returns
    -------
    tuple of float or None
        Lower and upper limit in [0, 1]; None when there are more than two classes or only one occurs.

    References
    ----------
    Variance: E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson (1988). Biometrics 44, 837-845. Placement values through
    ranks: X. Sun, W. Xu (2014). IEEE Signal Processing Letters 21, 1389-1393. Logit scale: M. S. Pepe (2003). The
    Statistical Evaluation of Medical Tests, chapter 5. Fallback: R. G. Newcombe (2006). Statistics in Medicine 25,
    559-573.
    """
    truth = np.asarray(labels)
    scores = np.asarray(probabilities, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] != 2:
        return None
    positive, negative = scores[truth == 1, 1], scores[truth == 0, 1]
    if positive.size == 0 or negative.size == 0:
        return None

    ranks = rankdata(np.concatenate([positive, negative]))
    positive_placements = (ranks[: positive.size] - rankdata(positive)) / negative.size
    negative_placements = (ranks[positive.size :] - rankdata(negative)) / positive.size
    area = float(positive_placements.mean())
    z = float(norm.ppf((1 + confidence) / 2))

    variance = 0.0
    if min(positive.size, negative.size) > 1:
        variance = float(
            positive_placements.var(ddof=1) / positive.size + negative_placements.var(ddof=1) / negative.size
        )
    # Constant placements leave rounding dust, and dust would pass for certainty.
    if variance < 1e-12 or not 0 < area < 1:
        return _newcombe_interval(area, positive.size, negative.size, z)
    half = z * np.sqrt(variance) / (area * (1 - area))
    return float(expit(logit(area) - half)), float(expit(logit(area) + half))


def _newcombe_interval(area: float, positives: int, negatives: int, z: float) -> tuple[float, float]:
    """Solve (area - t)^2 = z^2 V(t) for t, with V the Hanley-McNeil variance as Newcombe's method 5 modifies it."""
    pairs = positives * negatives
    spread = (positives + negatives) / 2 - 1

    def excess(t: float) -> float:
        factor = 1 + spread * (1 - t) / (2 - t) + spread * t / (1 + t)
        return (area - t) ** 2 - z**2 * t * (1 - t) * factor / pairs

    # `area` itself solves the equation when it is 0 or 1; the search stops short of that root.
    edge = 1e-9
    lower = 0.0 if area < edge else float(brentq(excess, 0.0, min(area, 1 - edge)))
    upper = 1.0 if area > 1 - edge else float(brentq(excess, max(area, edge), 1.0))
    return lower, upper


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
        Two-sided; the chance of a split at least as uneven if both were equally good. 1 when they never differ.
    """

    only_first: int
    only_second: int
    total: int
    p_value: float

    def detectable_difference(self) -> float:
        """Return the share of images by which the two must differ for the test to notice (5 % level).

        With d images on which just one is right, the difference has a standard error of sqrt(d) images; and below six
        such images not even a clean sweep is significant (2 * 0.5^5 > 0.05).
        """
        if self.total == 0:
            return 1.0
        return min(1.0, max(6.0, 1.96 * float(np.sqrt(self.only_first + self.only_second))) / self.total)


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
