"""The arms side by side as tables of text, which terminal, report and CSV files show alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from common.summary.arm import ArmRecord, MetricsRecord
from common.summary.comparison import DifferenceRecord, PairedTestRecord
from common.summary.summary import Summary
from simulations.report.formatting import (
    MISSING,
    correct_of_total,
    decimal,
    interval,
    megabytes,
    number,
    p_value,
    percent,
    rate,
    seconds,
    signed,
    signed_limits,
)

RATES = {
    "accuracy": "Accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "precision": "Precision",
    "f1": "F1",
    "auc": "AUC",
}

TITLES = {
    "centralized": "Centralised",
    "federated": "Federated",
    "local": "Each hospital alone",
    "local-all": "Each hospital alone",
    "probe": "Linear probe on frozen features",
    "scratch": "Centralised, without pretraining",
}
"""The arms in the order in which they are shown."""

NOTES = {"local": "own patients", "local-all": "all patients, mean of the models"}

SHORT_TITLES = TITLES | {
    "local": "Alone, own patients",
    "local-all": "Alone, all patients",
    "probe": "Linear probe",
    "scratch": "No pretraining",
}


@dataclass(frozen=True)
class Cell:
    """A value, and below it in small print its interval or what qualifies it."""

    text: str
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes
    ----------
    cells : list of Cell
        The first one is the row's heading.
    arm : str
        The key of the arm whose colour the row has, or "".
    reason : str
        Why there is nothing to show beside the heading, or "".
    """

    cells: list[Cell]
    arm: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes
    ----------
    name : str
        Of its file.
    title : str
        What it shows.
    columns : list of Cell
        Headings.
    rows : list of Row
    caption : str
        What a reader must know to read it, or "".
    """

    name: str
    title: str
    columns: list[Cell]
    rows: list[Row] = field(default_factory=list)
    caption: str = ""


def metrics_by_arm(arms: Mapping[str, ArmRecord]) -> dict[str, MetricsRecord]:
    """Return the arms that ran in the order in which they are shown; `local-all` is one of them."""
    found: dict[str, MetricsRecord] = dict(arms)
    local = arms.get("local")
    if local is not None and local.on_all_sites is not None:
        found["local-all"] = local.on_all_sites
    return {key: found[key] for key in TITLES if key in found}


def full_title(key: str) -> str:
    """Return an arm's title together with the patients it was tested on."""
    return f"{TITLES[key]} ({NOTES[key]})" if key in NOTES else TITLES[key]


def arms_table(summary: Summary) -> Table:
    """Return one row an arm: correct images, and rates with intervals."""
    columns = [Cell("Arm"), Cell("Correct"), *(Cell(title) for title in RATES.values())]
    rows = [
        Row(
            [
                Cell(TITLES[key], NOTES.get(key, "")),
                Cell(correct_of_total(metrics)),
                *(Cell(rate(name, getattr(metrics, name)), interval(name, metrics)) for name in RATES),
            ],
            arm=key,
        )
        for key, metrics in metrics_by_arm(summary.arms).items()
    ]
    return Table("arms", "The arms compared", columns, rows, "Small print in a cell: 95 % interval.")


def sites_table(summary: Summary) -> Table:
    """Return one row a site: what each arm, and the site's own model, got right."""
    columns: list[tuple[Cell, Mapping[str, MetricsRecord]]] = []
    for key in TITLES:
        arm = summary.arms.get(key)
        if arm is None:
            continue
        if key == "local":
            columns.append((Cell("Own model", "own patients"), arm.per_site))
            if arm.models:
                columns.append((Cell("Own model", "all patients"), arm.models))
        else:
            columns.append((Cell(SHORT_TITLES[key]), arm.per_site))
    rows = [
        Row([Cell(site.name), *(_of_site(found.get(site.name)) for _, found in columns)])
        for site in summary.dataset.sites
    ]
    return Table("sites", "Correct by site", [Cell("Site"), *(heading for heading, _ in columns)], rows)


def _of_site(metrics: MetricsRecord | None) -> Cell:
    if metrics is None or metrics.accuracy is None:
        return Cell(MISSING)
    limits = interval("accuracy", metrics)
    return Cell(correct_of_total(metrics), percent(metrics.accuracy) + (f" ({limits})" if limits else ""))


def differences_table(tests: Mapping[str, PairedTestRecord]) -> Table:
    """Return one row a comparison of two arms: differences with intervals, p-values, and each repeat's own tests."""
    headings = ("First − second", "Accuracy, points", "p", "AUC", "p", "McNemar p", "DeLong p")
    rows = []
    for test in tests.values():
        accuracy, auc = test.accuracy, test.auc
        rows.append(
            Row(
                [
                    Cell(SHORT_TITLES.get(test.first, test.first), f"− {SHORT_TITLES.get(test.second, test.second)}"),
                    _difference(accuracy, 100, 1),
                    Cell(p_value(accuracy.p_value if accuracy else None)),
                    _difference(auc, 1, 3),
                    Cell(p_value(auc.p_value if auc else None)),
                    _of_repeats([one.p_value for one in test.mcnemar]),
                    _of_repeats([one.p_value for one in test.delong]),
                ]
            )
        )
    caption = (
        "Small print: 95 % interval. McNemar’s test (exact; takes images as independent) and DeLong’s look at one "
        "repeat at a time; with several repeats, the range of their p-values."
    )
    return Table("differences", "Differences", [Cell(title) for title in headings], rows, caption)


def _difference(found: DifferenceRecord | None, scale: float, digits: int) -> Cell:
    if found is None:
        return Cell(MISSING)
    scaled = None if found.ci95 is None else (scale * found.ci95[0], scale * found.ci95[1])
    return Cell(signed(scale * found.difference, digits), signed_limits(scaled, digits) if scaled else "")


def _of_repeats(values: Sequence[float | None]) -> Cell:
    known = [value for value in values if value is not None]
    if not known:
        return Cell(MISSING)
    low, high = p_value(min(known)), p_value(max(known))
    return Cell(low if low == high else f"{low} to {high}")


def calibration_table(summary: Summary) -> Table:
    """Return one row an arm: how far predicted probabilities are from what comes true."""
    rows = [
        Row([Cell(full_title(key)), Cell(decimal(metrics.ece), interval("ece", metrics))], arm=key)
        for key, metrics in metrics_by_arm(summary.arms).items()
        if metrics.ece is not None
    ]
    columns = [Cell("Arm"), Cell("Expected calibration error")]
    caption = "0 is best, and chance alone keeps it above 0 in a small test set. Small print: 95 % interval."
    return Table("calibration", "Calibration", columns, rows, caption)


def cost_table(summary: Summary) -> Table:
    """Return one row an arm: its budget in image passes, time, weights, and what it sends."""
    headings = ("Arm", "Image passes", "Time", "Weights trained, millions", "All weights, millions", "MB sent")
    rows = []
    for key in TITLES:
        arm = summary.arms.get(key)
        if arm is not None:
            rows.append(Row(_cost_cells(key, arm, summary), arm=key))
    caption = (
        "Image passes: how often an image went through training, in one repeat; the budget of an arm. "
        "Time: from beginning to end, while other trainings shared the machine. "
        "MB sent: both ways, all rounds and sites of one federation."
    )
    return Table("cost", "Cost by arm", [Cell(title) for title in headings], rows, caption)


def _cost_cells(key: str, arm: ArmRecord, summary: Summary) -> list[Cell]:
    trained, total = (arm.parameters.trained, arm.parameters.total) if arm.parameters else (None, None)
    return [
        Cell(TITLES[key]),
        Cell(number(arm.samples_seen)),
        Cell(seconds(arm.wall_s)),
        Cell(millions(trained)),
        Cell(millions(total)),
        Cell(megabytes(summary.cost.bytes_exchanged) if key == "federated" else "0"),
    ]


def millions(value: int | None) -> str:
    """Return a number of weights in millions."""
    return MISSING if value is None else f"{value / 1e6:.2f}" if value >= 10_000 else f"{value / 1e6:.4f}"
