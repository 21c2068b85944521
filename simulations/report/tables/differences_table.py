"""Two arms at a time: differences with intervals, p-values, and each repeat's own tests."""

from collections.abc import Mapping, Sequence

from common.summary.comparison import PairedTestRecord
from simulations.report.formatting import MISSING, p_value
from simulations.report.tables.cells import difference
from simulations.report.tables.table import Cell, Row, Table, plain_cells
from simulations.study.arms import ARMS


def differences_table(tests: Mapping[str, PairedTestRecord]) -> Table:
    """Return one row per comparison of two arms; a name that is no arm's is shown as it is."""
    columns = plain_cells("First − second", "Accuracy, points", "p", "AUC", "p", "McNemar p", "DeLong p")
    caption = (
        "Small print: 95 % interval. McNemar’s test (exact; takes images as independent) and DeLong’s look at one "
        "repeat at a time; with several repeats, the range of their p-values."
    )
    return Table("differences", "Differences", columns, [_row(test) for test in tests.values()], caption)


def short_title(arm: str) -> str:
    """Return an arm's short title, or a name that is no arm's as it is."""
    return ARMS[arm].short_title if arm in ARMS else arm


def _row(test: PairedTestRecord) -> Row:
    accuracy, auc = test.accuracy, test.auc
    return Row(
        [
            Cell(short_title(test.first), f"− {short_title(test.second)}"),
            difference(accuracy, 100, 1),
            Cell(p_value(accuracy.p_value if accuracy else None)),
            difference(auc, 1, 3),
            Cell(p_value(auc.p_value if auc else None)),
            _of_repeats([one.p_value for one in test.mcnemar]),
            _of_repeats([one.p_value for one in test.delong]),
        ]
    )


def _of_repeats(values: Sequence[float | None]) -> Cell:
    known = [value for value in values if value is not None]
    if not known:
        return Cell(MISSING)
    low, high = p_value(min(known)), p_value(max(known))
    return Cell(low if low == high else f"{low} to {high}")
