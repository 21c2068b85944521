"""What federated training reached while hospitals failed on purpose."""

from collections.abc import Sequence

from common.summary.comparison import PairedTestRecord
from common.summary.summary import VariantRecord
from simulations.report.formatting import MISSING
from simulations.report.tables.cells import correct_and_rates, difference
from simulations.report.tables.table import Cell, Row, Table, plain_cells
from simulations.study.arms import FEDERATED


def faults_table(variants: Sequence[VariantRecord]) -> Table:
    """Return one row per strategy and fault: what federated training reached, and how far that is from undisturbed."""
    several = len({one.strategy for one in variants}) > 1
    first = variants[0].strategy
    rows = []
    for one in variants:
        federated = one.arms.get(FEDERATED)
        if federated is None:
            continue
        cells = [
            Cell(one.strategy),
            Cell(one.faults),
            *correct_and_rates(federated, ["accuracy"]),
            _points(one.against.get("same")),
            *([_points(one.against.get("first"))] if several else []),
            Cell(f"{one.replies.left_out}/{one.replies.expected}" if one.replies else MISSING),
        ]
        rows.append(Row(cells))
    compared = ["Against none", *([f"Against {first}"] if several else [])]
    columns = plain_cells("Strategy", "Faults", "Correct", "Accuracy", *compared, "Not used")
    caption = (
        "The federated arm; hospitals failed on purpose. Small print: 95 % interval. Against none: points of accuracy "
        "more than the same strategy undisturbed, on the same images"
        f"{f'; against {first}: than {first} undisturbed' if several else ''}. Not used: replies to rounds that were "
        "lost, refused by the server, or not asked for in quarantine."
    )
    return Table("faults", "Hospitals that fail: federated training", columns, rows, caption)


def _points(test: PairedTestRecord | None) -> Cell:
    return difference(test.accuracy if test else None, 100, 1)
