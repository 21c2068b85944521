"""The arms side by side as rows of text: what the terminal table and the report both show."""

from dataclasses import dataclass

from simulations.summary import Metrics, Summary

MISSING = "–"

RATE_COLUMNS = ("sensitivity", "specificity", "precision", "f1", "auc")
RATE_TITLES = ("Sensitivity", "Specificity", "Precision", "F1", "AUC")


@dataclass(frozen=True)
class Row:
    """One row of the comparison.

    Attributes
    ----------
    key : str
        `centralized`, `federated`, `local` or `local-all`; also the name of the row's colour.
    title, note : str
        What the row is, and on which patients it was tested ("" for all of them).
    metrics : Metrics
        The numbers.
    """

    key: str
    title: str
    note: str
    metrics: Metrics


def comparison_rows(summary: Summary) -> list[Row]:
    """Return the rows of the arms that the study ran, the best informed first."""
    rows = []
    if "centralized" in summary.arms:
        rows.append(Row("centralized", "Centralised", "", summary.arms["centralized"]))
    if "federated" in summary.arms:
        rows.append(Row("federated", "Federated", "", summary.arms["federated"]))
    if "local" in summary.arms:
        local = summary.arms["local"]
        rows.append(Row("local", "Each hospital alone", "own patients", local))
        if local.on_all_sites is not None:
            rows.append(Row("local-all", "Each hospital alone", "all patients, mean of the models", local.on_all_sites))
    return rows


def site_columns(summary: Summary) -> list[tuple[str, str, dict[str, Metrics]]]:
    """Return the columns of the per-site table: title, note, and the metrics by site."""
    columns = []
    for key, title in (("centralized", "Centralised"), ("federated", "Federated")):
        if key in summary.arms:
            columns.append((title, "", summary.arms[key].per_site))
    if "local" in summary.arms:
        columns.append(("Own model", "own patients", summary.arms["local"].per_site))
        if summary.arms["local"].models:
            columns.append(("Own model", "all patients", summary.arms["local"].models))
    return columns


def percent(value: float | None) -> str:
    """Return a share in [0, 1] as a percentage with one decimal."""
    return MISSING if value is None else f"{100 * value:.1f} %"


def decimal(value: float | None) -> str:
    """Return an AUC with three decimals."""
    return MISSING if value is None else f"{value:.3f}"


def rate(name: str, value: float | None) -> str:
    """Return a metric in its customary form: the AUC as a decimal, every other one as a percentage."""
    return decimal(value) if name == "auc" else percent(value)


def interval(name: str, metrics: Metrics) -> str:
    """Return a metric's 95 % interval, such as `81–91`, or an empty string where there is none."""
    limits = metrics.ci95.get(name)
    if limits is None:
        return ""
    low, high = limits
    return f"{low:.2f}–{high:.2f}" if name == "auc" else f"{100 * low:.0f}–{100 * high:.0f}"


def count(value: float) -> str:
    """Return a count, with one decimal where it is a mean that is not whole."""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"


def correct_of_total(metrics: Metrics | None) -> str:
    """Return `173/200`, or a dash where there is no image."""
    if metrics is None or metrics.total == 0:
        return MISSING
    return f"{count(metrics.correct)}/{metrics.total}"
