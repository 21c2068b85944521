"""What tables show of an arm's numbers: cells that several tables have in common."""

from collections.abc import Iterable, Mapping

from common.summary.arm import ArmRecord, MetricsRecord
from common.summary.comparison import DifferenceRecord, GapClosedRecord
from simulations.report.formatting import (
    MISSING,
    correct_of_total,
    interval,
    percent,
    rate,
    share,
    share_limits,
    signed,
    signed_limits,
)
from simulations.report.tables.table import Cell
from simulations.study.arms import ARMS

RATES = {
    "accuracy": "Accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "precision": "Precision",
    "f1": "F1",
    "auc": "AUC",
}
"""Titles of the metrics that tables show."""

WEIGHTS_HEADINGS = ("Weights trained, millions", "All weights, millions")


def metrics_by_arm(arms: Mapping[str, ArmRecord]) -> dict[str, MetricsRecord]:
    """Return the arms that ran in the order in which they are shown; `local-all` is one of them."""
    found: dict[str, MetricsRecord] = dict(arms)
    for key, record in arms.items():
        if record.on_all_sites is not None:
            found[ARMS[key].judged_everywhere_as] = record.on_all_sites
    return {key: found[key] for key in ARMS if key in found}


def correct_and_rates(metrics: MetricsRecord, names: Iterable[str]) -> list[Cell]:
    """Return the correct images of an arm, and its rates with intervals."""
    return [Cell(correct_of_total(metrics)), *rates(metrics, names)]


def rates(metrics: MetricsRecord, names: Iterable[str]) -> list[Cell]:
    """Return rates of an arm with intervals."""
    return [Cell(rate(name, getattr(metrics, name)), interval(name, metrics)) for name in names]


def with_rate(text: str, metrics: MetricsRecord, name: str) -> Cell:
    """Return a text above a rate and its interval."""
    around = interval(name, metrics)
    return Cell(text, percent(getattr(metrics, name)) + (f" ({around})" if around else ""))


def difference(found: DifferenceRecord | None, scale: float, digits: int) -> Cell:
    """Return a difference of two arms with its interval."""
    if found is None:
        return Cell(MISSING)
    scaled = None if found.ci95 is None else (scale * found.ci95[0], scale * found.ci95[1])
    return Cell(signed(scale * found.difference, digits), signed_limits(scaled, digits) if scaled else "")


def gap_in_accuracy(gaps: Mapping[str, GapClosedRecord] | None) -> Cell:
    """Return the gap closed in accuracy with its interval."""
    gap = (gaps or {}).get("accuracy")
    return Cell(share(gap.value), share_limits(gap.ci95)) if gap else Cell(MISSING)


def weights(arm: ArmRecord) -> tuple[str, str]:
    """Return in millions how many weights an arm trained, and how many its network has."""
    trained, total = (arm.parameters.trained, arm.parameters.total) if arm.parameters else (None, None)
    return _millions(trained), _millions(total)


def _millions(value: int | None) -> str:
    return MISSING if value is None else f"{value / 1e6:.2f}" if value >= 10_000 else f"{value / 1e6:.4f}"
