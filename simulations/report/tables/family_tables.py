"""Families of networks side by side: what each arm of each family got right, its errors, rates and cost."""

from collections.abc import Callable, Sequence

from common.summary.arm import MetricsRecord
from common.summary.summary import MissingRecord, VariantRecord
from simulations.report.formatting import (
    MISSING,
    correct_of_total,
    count,
    interval,
    limits,
    megabytes,
    percent,
    rate,
    seconds,
)
from simulations.report.tables.cells import RATES, WEIGHTS_HEADINGS, metrics_by_arm, rates, weights, with_rate
from simulations.report.tables.table import Cell, Row, Table, plain_cells
from simulations.study.arms import ARMS, FEDERATED

_FURTHER_RATES = ("precision", "specificity", "f1", "auc")

_ShowMetrics = Callable[[MetricsRecord], Cell]
_Named = Sequence[tuple[Cell, VariantRecord]]


def family_tables(
    variants: Sequence[VariantRecord],
    missing: Sequence[MissingRecord],
    classes: Sequence[str],
    *,
    own_size: bool = False,
) -> list[Table]:
    """Return the tables of variants that differ in their family; `missing` families get a row that says why.

    With `own_size`, or where they differ in it, the side of the images that a family was trained on stands below it.
    """
    named = [(name_family(one, sided=own_size or sides_differ(variants)), one) for one in variants]
    positive = f"“{classes[1]}” found, and sensitivity" if len(classes) == 2 else "Sensitivity, mean over the classes"
    tables = [
        _by_family("families-correct", "Families: correct predictions and accuracy", named, _correct),
        _by_family("families-sensitivity", f"Families: {positive}", named, _found if len(classes) == 2 else _mean),
        _by_family("families-errors", "Families: errors and error rate", named, _wrong),
        _further_rates(named),
        _cost(named),
    ]
    not_run = [Row([Cell(one.family)], reason=f"not run: {one.reason}") for one in missing]
    for table in tables:
        table.rows.extend(not_run)
    return tables


def sides_differ(variants: Sequence[VariantRecord]) -> bool:
    """Return whether some variants were trained on images of another side than others."""
    return len({one.size for one in variants}) > 1


def name_family(variant: VariantRecord, *, sided: bool) -> Cell:
    """Return the name of a variant's family, and below it, if wanted and known, the side of its images."""
    return Cell(variant.family, f"{variant.size} px images" if sided and variant.size else "")


def _correct(metrics: MetricsRecord) -> Cell:
    return with_rate(correct_of_total(metrics), metrics, "accuracy")


def _found(metrics: MetricsRecord) -> Cell:
    """Return how many of the positive images were found."""
    if metrics.confusion is None:
        return _mean(metrics)
    positives = metrics.confusion[1]
    return with_rate(f"{count(positives[1])}/{count(sum(positives))}", metrics, "sensitivity")


def _mean(metrics: MetricsRecord) -> Cell:
    """Return the sensitivity as a mean over the classes."""
    return Cell(rate("sensitivity", metrics.sensitivity), interval("sensitivity", metrics))


def _wrong(metrics: MetricsRecord) -> Cell:
    if metrics.accuracy is None:
        return Cell(MISSING)
    accuracy = metrics.ci95.get("accuracy")
    around = f" ({limits('error', (1 - accuracy[1], 1 - accuracy[0]))})" if accuracy else ""
    return Cell(f"{count(metrics.total - metrics.correct)}/{metrics.total}", percent(1 - metrics.accuracy) + around)


def _by_family(name: str, title: str, variants: _Named, show: _ShowMetrics) -> Table:
    ran = {key for _, one in variants for key in metrics_by_arm(one.arms)}
    keys = [key for key in ARMS if key in ran]
    rows = []
    for family, one in variants:
        found = {key: metrics for key, metrics in metrics_by_arm(one.arms).items() if metrics.total}
        rows.append(Row([family, *(show(found[key]) if key in found else Cell(MISSING) for key in keys)]))
    return Table(name, title, plain_cells("Family", *(ARMS[key].short_title for key in keys)), rows)


def _further_rates(variants: _Named) -> Table:
    rows = [
        Row([family, Cell(ARMS[key].short_title), *rates(metrics, _FURTHER_RATES)], arm=key)
        for family, one in variants
        for key, metrics in metrics_by_arm(one.arms).items()
    ]
    columns = plain_cells("Family", "Arm", *(RATES[name] for name in _FURTHER_RATES))
    return Table("families-rates", "Families: further rates", columns, rows, "Small print: 95 % interval.")


def _cost(variants: _Named) -> Table:
    rows = []
    for family, one in variants:
        for key in ARMS:
            arm = one.arms.get(key)
            if arm is None:
                continue
            # What a training costs does not depend on the patients that it is tested on.
            title = ARMS[key].short_title.removesuffix(f", {ARMS[key].patients}")
            cells = plain_cells(
                title,
                *weights(arm),
                megabytes(one.cost.bytes_exchanged if key == FEDERATED else 0),
                seconds(arm.wall_s),
            )
            rows.append(Row([family, *cells], arm=key))
    columns = plain_cells("Family", "Arm", *WEIGHTS_HEADINGS, "MB sent", "Time")
    caption = "MB sent: both ways, all rounds and sites of one federation."
    return Table("families-cost", "Families: cost", columns, rows, caption)
