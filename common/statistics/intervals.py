"""Confidence intervals of shares, AUCs, calibration errors, and differences of two classifiers.

The variance comes from a bootstrap over patients (`bootstrap.py`). The forms of the intervals avoid the flaws that
percentiles of a bootstrap of few patients have: the limits stay in [0, 1], are asymmetric near 0 and 1, and, for
shares and AUCs, do not collapse where all resamples agree. The interval of a difference is combined from those of its
two values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import norm
from scipy.stats import t as student_t


@dataclass(frozen=True)
class EffectiveSizes:
    """The effective sample size of a share: bounds on how many independent predictions it is worth.

    Attributes
    ----------
    least : float
        If all predictions of a patient are alike: the number of patients, or Kish's size where their weights differ.
    most : float
        If all predictions are independent: their number.
    patients : int
        Number of patients with a prediction.
    """

    least: float
    most: float
    patients: int

    @classmethod
    def of_predictions(cls, by_patient: NDArray[np.float64], most: float | None = None) -> Self:
        """Return the sizes for the number of predictions of each patient; at least one has one.

        References
        ----------
        L. Kish (1965). Survey Sampling, section 11.7.
        """
        total = float(by_patient.sum())
        least = total**2 / float((by_patient**2).sum())
        return cls(least, max(least, total if most is None else most), int((by_patient > 0).sum()))


def resampled_share_interval(
    value: float, resampled: NDArray[np.float64], sizes: EffectiveSizes, confidence: float = 0.95
) -> tuple[float, float]:
    """Return Wilson's interval of a share, with the effective sample size that the bootstrap variance implies.

    The effective size is that of independent predictions with the same variance, n = p (1 - p) / variance, made smaller
    for a variance estimated from few patients, and kept within `sizes`. At a value of 0 or 1, where every resample
    agrees, it is the least possible. Where each patient has one prediction, the least and the most are equal, and the
    interval is Wilson's own.

    Parameters
    ----------
    value : float
        The share, in [0, 1].
    resampled : ndarray of float64, shape (B,)
        Its value in each resample; NaN where it has none.
    sizes : EffectiveSizes
        Bounds on the effective size.
    confidence : float
        Coverage, in (0, 1).

    Returns
    -------
    tuple of float
        Lower and upper limit in [0, 1].

    References
    ----------
    E. L. Korn, B. I. Graubard (1998). Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data. Survey Methodology 24, 193-201. Wilson's form: C. Franco, R. J. A. Little, T. A.
    Louis, E. V. Slud (2019). Comparative study of confidence intervals for proportions in complex sample surveys.
    Journal of Survey Statistics and Methodology 7, 334-364.
    """
    upper_tail = (1 + confidence) / 2
    z = float(norm.ppf(upper_tail))
    variance = _variance(resampled)
    size = sizes.least
    if 0 < value < 1 and variance > 0 and sizes.patients > 1:
        few = (1 - 1 / sizes.patients) * (z / float(student_t.ppf(upper_tail, sizes.patients - 1))) ** 2
        size = float(np.clip(value * (1 - value) / variance * few, sizes.least, sizes.most))
    centre = (value + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * float(np.sqrt(value * (1 - value) / size + z**2 / (4 * size**2)))
    # Exactly 0 and 1, which the formula reaches up to rounding only.
    return (0.0 if value == 0 else centre - half), (1.0 if value == 1 else centre + half)


def resampled_auc_interval(
    value: float, resampled: NDArray[np.float64], positives: int, negatives: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Return an interval of an AUC: the bootstrap standard error on the logit scale.

    The bootstrap variance is multiplied by m / (m - 1) for m patients in the smaller class, as DeLong's is. Where it is
    meaningless (an AUC of 0 or 1, a class with a single patient), Newcombe's interval for the same numbers of patients
    is returned.

    Parameters
    ----------
    value : float
        The AUC, in [0, 1].
    resampled : ndarray of float64, shape (B,)
        Its value in each resample; NaN where a resample has no pair.
    positives, negatives : int
        Patients with an image of the class, and with an image of another; at least 1.
    confidence : float
        Coverage, in (0, 1).

    References
    ----------
    DeLong's variance: E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson (1988). Biometrics 44, 837-845. Logit scale:
    M. S. Pepe (2003). The Statistical Evaluation of Medical Tests, chapter 5. Fallback: R. G. Newcombe (2006).
    Statistics in Medicine 25, 559-573.
    """
    z = float(norm.ppf((1 + confidence) / 2))
    variance, smaller = _variance(resampled), min(positives, negatives)
    if variance == 0 or not 0 < value < 1 or smaller < 2:
        return newcombe_auc_interval(value, positives, negatives, confidence)
    half = z * np.sqrt(variance * smaller / (smaller - 1)) / (value * (1 - value))
    return float(expit(logit(value) - half)), float(expit(logit(value) + half))


def calibration_error_interval(
    value: float, resampled: NDArray[np.float64], noise: NDArray[np.float64], confidence: float = 0.95
) -> tuple[float, float]:
    """Return an interval of an expected calibration error, which is above 0 by chance alone.

    The error is a sum of distances. By the triangle inequality, noise in the bins adds at most its own sum of distances
    to it; so the lower limit is the value less that noise, estimated by the bootstrap, and 0 for a model that may be
    calibrated. Percentiles of the bootstrap, which adds the same noise once more, would nearly always lie above the
    true value. The upper limit is the value plus the usual multiple of its standard error, since the bias is upwards.

    Parameters
    ----------
    value : float
        The error, in [0, 1].
    resampled : ndarray of float64, shape (B,)
        Its value in each resample.
    noise : ndarray of float64, shape (B,)
        Sum over bins of the distance between the resample's gap and the estimate's.
    confidence : float
        Coverage, in (0, 1).
    """
    upper_tail = (1 + confidence) / 2
    spread = float(norm.ppf(upper_tail)) * float(np.sqrt(_variance(resampled)))
    known = noise[~np.isnan(noise)]
    return max(0.0, value - float(np.quantile(known, upper_tail))), min(1.0, value + spread)


def difference_interval(
    first: float,
    first_limits: tuple[float, float],
    second: float,
    second_limits: tuple[float, float],
    correlation: float,
) -> tuple[float, float]:
    """Return an interval of first - second from the interval of each and the correlation of their errors.

    Newcombe's square-and-add method: the distance to each limit is the root of the summed squares of the two distances
    in that direction. It keeps the coverage of the two intervals, and does not collapse where both classifiers were
    right on every image.

    Parameters
    ----------
    first, second : float
        The two values.
    first_limits, second_limits : tuple of float
        Their intervals, of equal coverage, with the values inside.
    correlation : float
        Of the two estimates, in [-1, 1]; 0 gives the wider interval when they are positively correlated.

    References
    ----------
    R. G. Newcombe (1998). Improved confidence intervals for the difference between binomial proportions based on paired
    data. Statistics in Medicine 17, 2635-2650. G. Y. Zou, A. Donner (2008). Construction of confidence limits about
    effect measures. Statistics in Medicine 27, 1693-1702.
    """

    def together(one: float, other: float) -> float:
        return float(np.sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2)))

    down = together(first - first_limits[0], second_limits[1] - second)
    up = together(first_limits[1] - first, second - second_limits[0])
    return first - second - down, first - second + up


def mean_interval(values: Sequence[float], limits: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return an interval of the mean of independent values from the interval of each, by the square-and-add method.

    Parameters
    ----------
    values : sequence of float
        At least one.
    limits : sequence of tuple of float
        Their intervals, of equal coverage, with the values inside.

    References
    ----------
    G. Y. Zou, A. Donner (2008). Statistics in Medicine 27, 1693-1702.
    """
    inside, around = np.array(values), np.array(limits)
    mean = float(inside.mean())
    down, up = np.sqrt(((around - inside[:, None]) ** 2).sum(axis=0)) / len(inside)
    return mean - float(down), mean + float(up)


def newcombe_auc_interval(area: float, positives: int, negatives: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return an interval of an AUC from the numbers of independent positives and negatives alone.

    Solves (area - t)^2 = z^2 V(t) for t, with V the Hanley-McNeil variance as Newcombe's method 5 modifies it.

    References
    ----------
    R. G. Newcombe (2006). Statistics in Medicine 25, 559-573.
    """
    z = float(norm.ppf((1 + confidence) / 2))
    pairs = positives * negatives
    spread = (positives + negatives) / 2 - 1

    def excess(t: float) -> float:
        factor = 1 + spread * (1 - t) / (2 - t) + spread * t / (1 + t)
        return (area - t) ** 2 - z**2 * t * (1 - t) * factor / pairs

    # At 0 and 1 `area` itself solves the equation; the search stops before that root.
    edge = 1e-9
    lower = 0.0 if area < edge else float(brentq(excess, 0.0, min(area, 1 - edge)))
    upper = 1.0 if area > 1 - edge else float(brentq(excess, max(area, edge), 1.0))
    return lower, upper


def _variance(resampled: NDArray[np.float64]) -> float:
    """Return the variance of the resamples that have a value; rounding errors count as 0."""
    known = resampled[~np.isnan(resampled)]
    variance = float(known.var()) if known.size else 0.0
    return variance if variance > 1e-12 else 0.0
