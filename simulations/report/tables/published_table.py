"""Published numbers beside what rarefed reached on the same images."""

from collections.abc import Mapping

from common.summary.summary import Summary
from simulations.analysis.published_metrics import published_metric
from simulations.report.formatting import MISSING, decimal, limits
from simulations.report.tables.table import Cell, Row, Table, plain_cells
from simulations.study.arms import ARMS
from simulations.study.published_file import MetricName, Protocol, PublishedResult

_METRICS: dict[MetricName, str] = {
    "accuracy": "accuracy",
    "auc": "AUC",
    "balanced-accuracy": "balanced accuracy",
    "balanced-accuracy-of-sites": "balanced accuracy, mean of hospitals",
}
_CAPTION = (
    "Small print: 95 % interval of the number here over its tested patients. The paper's number has an uncertainty of "
    "its own, of which the interval says nothing."
)


def published_table(protocol: Protocol, summaries: Mapping[str, Summary]) -> Table:
    """Return a row for each number of the paper; `summaries` are by training."""
    rows = [_row(result, summaries[result.training]) for result in protocol.results]
    columns = plain_cells("Published as", "Metric", "Paper", "Here", "Here, arm", "Tested images")
    return Table("published", protocol.paper, columns, rows, _CAPTION)


def _row(result: PublishedResult, summary: Summary) -> Row:
    arm = summary.arms[result.arm]
    value, around = published_metric(arm, result.metric)
    paper = MISSING if result.value is None else f"{result.value:g}"
    here = Cell(decimal(value), limits("auc", around))
    plain = (ARMS[result.arm].short_title, str(arm.total))
    return Row([*plain_cells(result.method, _METRICS[result.metric], paper), here, *plain_cells(*plain)])
