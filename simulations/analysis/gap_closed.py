"""Which share of the way from lonely hospitals to pooled images federated training goes."""

import numpy as np
from numpy.typing import NDArray

from common.statistics.bootstrap import Bootstrap
from common.summary.comparison import GapClosedRecord
from simulations.analysis.arm_comparison import check_same_images
from simulations.analysis.predictions import Predictions
from simulations.analysis.resampling import resample

# A gap that is 0 or less in more than this share of the resamples may well be 0.
_UNCLEAR = 0.025


def gap_closed(
    federated: Predictions, local_all: Predictions, centralized: Predictions, bootstrap: Bootstrap
) -> dict[str, GapClosedRecord]:
    """Return the gap closed in accuracy and in AUC.

    The share is (federated - local) / (centralised - local), with the hospitals' models judged on all hospitals'
    patients; 1 is the whole way. Its interval is that of the bootstrap's percentiles.

    Parameters
    ----------
    federated, local_all, centralized : Predictions
        Of the same images in the same order.
    bootstrap : Bootstrap
        Of their patients.

    Returns
    -------
    dict of str to GapClosedRecord
        For `accuracy` and `auc`: no value without a gap to close; no interval when the gap is not clearly positive, for
        then the share may be anything.

    Raises
    ------
    ValueError
        When the predictions are of different images, or of none.
    """
    check_same_images(federated, local_all)
    check_same_images(federated, centralized)
    reached, start, goal = (resample(arm, bootstrap).metrics for arm in (federated, local_all, centralized))
    return {name: _share(reached[name] - start[name], goal[name] - start[name]) for name in ("accuracy", "auc")}


def _share(gained: NDArray[np.float64], gap: NDArray[np.float64]) -> GapClosedRecord:
    """Return the share, out of what was gained and what could be: the estimates first, then the resamples."""
    if np.isnan(gained[0]) or np.isnan(gap[0]):
        return GapClosedRecord(value=None, ci95=None, reason="undefined for the tested images")
    if gap[0] <= 1e-9:
        reason = "centralised training is not better than hospitals alone"
        return GapClosedRecord(value=None, ci95=None, reason=reason)
    value = float(gained[0] / gap[0])
    known = ~(np.isnan(gained) | np.isnan(gap))
    known[0] = False
    # The gap of a few images is a multiple of 1 / N up to rounding.
    if not known.any() or np.mean(gap[known] <= 1e-9) > _UNCLEAR:
        reason = "centralised training is not clearly better than hospitals alone"
        return GapClosedRecord(value=value, ci95=None, reason=reason)
    positive = known & (gap > 1e-9)
    low, high = np.quantile(gained[positive] / gap[positive], [0.025, 0.975]).tolist()
    return GapClosedRecord(value=value, ci95=(low, high), reason=None)
