"""The arms side by side: what they got right, site by site, how well they are calibrated, and what they cost."""

from collections.abc import Mapping

from common.summary.arm import ArmRecord, MetricsRecord
from common.summary.summary import Summary
from simulations.report.formatting import MISSING, correct_of_total, decimal, interval, megabytes, number, seconds
from simulations.report.tables.cells import (
    RATES,
    WEIGHTS_HEADINGS,
    correct_and_rates,
    metrics_by_arm,
    weights,
    with_rate,
)
from simulations.report.tables.table import Cell, Row, Table, plain_cells
from simulations.study.arms import ARMS, FEDERATED


def arms_table(summary: Summary) -> Table:
    """Return one row per arm: correct images, and rates with intervals."""
    rows = [
        Row([Cell(ARMS[key].title, ARMS[key].patients), *correct_and_rates(metrics, RATES)], arm=key)
        for key, metrics in metrics_by_arm(summary.arms).items()
    ]
    columns = plain_cells("Arm", "Correct", *RATES.values())
    return Table("arms", "The arms compared", columns, rows, "Small print in a cell: 95 % interval.")


def sites_table(summary: Summary) -> Table:
    """Return one row per site: what each arm, and the site's own model, got right."""
    by_arm: dict[str, Mapping[str, MetricsRecord]] = {key: arm.per_site for key, arm in summary.arms.items()}
    by_arm |= {ARMS[key].judged_everywhere_as: arm.models for key, arm in summary.arms.items() if arm.models}
    shown = [key for key in ARMS if key in by_arm]
    rows = [
        Row([Cell(site.name), *(_of_site(by_arm[key].get(site.name)) for key in shown)])
        for site in summary.dataset.sites
    ]
    columns = [Cell("Site"), *(Cell(*ARMS[key].heading_of_sites) for key in shown)]
    return Table("sites", "Correct by site", columns, rows)


def _of_site(metrics: MetricsRecord | None) -> Cell:
    if metrics is None or metrics.accuracy is None:
        return Cell(MISSING)
    return with_rate(correct_of_total(metrics), metrics, "accuracy")


def calibration_table(summary: Summary) -> Table:
    """Return one row per arm: how far predicted probabilities are from what comes true."""
    rows = [
        Row([Cell(ARMS[key].full_title), Cell(decimal(metrics.ece), interval("ece", metrics))], arm=key)
        for key, metrics in metrics_by_arm(summary.arms).items()
        if metrics.ece is not None
    ]
    caption = "0 is best, and chance alone keeps it above 0 in a small test set. Small print: 95 % interval."
    return Table("calibration", "Calibration", plain_cells("Arm", "Expected calibration error"), rows, caption)


def cost_table(summary: Summary) -> Table:
    """Return one row per arm: its budget in samples seen, time, weights, and what it sends."""
    columns = plain_cells("Arm", "Image passes", "Time", *WEIGHTS_HEADINGS, "MB sent")
    rows = [Row(_cost_cells(key, summary.arms[key], summary), arm=key) for key in ARMS if key in summary.arms]
    caption = (
        "Image passes: how often an image went through training, in one repeat; the budget of an arm. "
        "Time: from beginning to end, while other trainings shared the machine. "
        "MB sent: both ways, all rounds and sites of one federation."
    )
    return Table("cost", "Cost by arm", columns, rows, caption)


def _cost_cells(key: str, arm: ArmRecord, summary: Summary) -> list[Cell]:
    sent = megabytes(summary.cost.bytes_exchanged) if key == FEDERATED else "0"
    return plain_cells(ARMS[key].title, number(arm.samples_seen), seconds(arm.wall_s), *weights(arm), sent)
