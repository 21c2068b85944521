"""One self-contained page about a run: no script, no request, readable on a phone, in the dark and on paper."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from common.files import write_text_atomically
from common.metrics import PairedTest, RocCurve, mean_roc, roc_curve
from simulations import comparison, figures
from simulations.comparison import Row, comparison_rows, site_columns
from simulations.summary import (
    Arm,
    Metrics,
    Predictions,
    Progress,
    Summary,
    compare_paired,
    read_predictions,
    read_summary,
)
from simulations.verdict import reach_verdict


def write_report(run: Path) -> Path:
    """Draw `report.html` in a run folder from its `summary.json` and `predictions.csv`.

    Parameters
    ----------
    run : Path
        The folder of a finished run.

    Returns
    -------
    Path
        The page; it is replaced in one step, so a reader never meets half of it.

    Raises
    ------
    InputError
        When one of the two files is missing or broken.
    """
    summary = read_summary(run)
    predictions = read_predictions(run, summary.dataset.classes)
    path = run / "report.html"
    write_text_atomically(path, render_report(summary, predictions))
    return path


def render_report(summary: Summary, predictions: dict[str, Predictions]) -> str:
    """Return the page as HTML."""
    environment = Environment(
        loader=PackageLoader("simulations", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"bytes": _bytes, "seconds": _seconds, "number": _number}
    rows = comparison_rows(summary)
    return environment.get_template("report.html.j2").render(
        summary=summary,
        verdict=reach_verdict(summary, _paired_tests(predictions)),
        rows=rows,
        site_columns=site_columns(summary),
        rate_columns=list(zip(comparison.RATE_COLUMNS, comparison.RATE_TITLES, strict=True)),
        format=comparison,
        plan={
            group: {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
            for group, values in _grouped(summary.plan).items()
        },
        roc=_draw_roc(rows, predictions),
        confusions=_draw_confusions(rows, summary.dataset.classes),
        learning=_draw_learning(summary),
        site_accuracy=_draw_site_accuracy(summary),
        compositions=_draw_compositions(summary),
    )


def _paired_tests(predictions: dict[str, Predictions]) -> dict[str, PairedTest]:
    """Test the federated arm against the others, on the images that both predicted."""
    shared = dict(predictions)
    if "local" in shared:
        shared["local"] = shared["local"].select(shared["local"].own())
    tests = {arm: compare_paired(shared, "federated", arm) for arm in ("centralized", "local")}
    return {arm: test for arm, test in tests.items() if test is not None}


def _draw_roc(rows: Sequence[Row], predictions: dict[str, Predictions]) -> Markup | None:
    curves = []
    for row in rows:
        found = predictions.get("local" if row.key == "local-all" else row.key)
        curve = None if found is None else _curve(row.key, found)
        if curve is not None:
            note = {"local": ", own", "local-all": ", all"}.get(row.key, "")
            curves.append((row.key, f"{row.title}{note}: {comparison.decimal(row.metrics.auc)}", curve))
    return figures.draw_roc(curves) if curves else None


def _curve(key: str, found: Predictions) -> RocCurve | None:
    """Return an arm's curve; of the hospitals' own models on all patients, the mean of one curve per model."""
    if key == "local":
        own = found.select(found.own())
        return roc_curve(own.labels, own.probabilities)
    if key == "local-all":
        of_models = [found.select(np.array(found.model) == model) for model in sorted(set(found.model))]
        curves = [roc_curve(one.labels, one.probabilities) for one in of_models]
        return mean_roc([curve for curve in curves if curve is not None])
    return roc_curve(found.labels, found.probabilities)


def _draw_confusions(rows: Sequence[Row], classes: list[str]) -> list[tuple[str, Markup]]:
    drawn = []
    for row in rows:
        if row.metrics.confusion is not None and row.metrics.total:
            title = row.title + (f" ({row.note})" if row.note else "")
            drawn.append((title, figures.draw_confusion(row.key, title, row.metrics.confusion, classes)))
    return drawn


def _draw_learning(summary: Summary) -> list[Markup]:
    drawn = []
    quantities = (("loss", "Validation loss"), ("accuracy", "Validation accuracy (%)"))
    for name, title in quantities:
        lines = [
            figures.Line(row.key, row.title, points, _selected(row.metrics))
            for row in comparison_rows(summary)
            if isinstance(row.metrics, Arm) and (points := _points(row.metrics.history, name))
        ]
        if lines:
            drawn.append(figures.draw_learning(name, title, lines))
    return drawn


def _points(history: Sequence[Progress], name: str) -> list[tuple[float, float]]:
    if name == "loss":
        return [(one.progress, one.validation_loss) for one in history if one.validation_loss is not None]
    return [(one.progress, 100 * one.validation_accuracy) for one in history if one.validation_accuracy is not None]


def _selected(arm: Arm) -> float | None:
    progress = (arm.selected or {}).get("progress")
    return float(progress) if isinstance(progress, int | float) else None


def _draw_site_accuracy(summary: Summary) -> Markup | None:
    bars = []
    for row in comparison_rows(summary):
        if isinstance(row.metrics, Arm) and row.metrics.per_site:
            values, intervals = {}, {}
            for name, found in row.metrics.per_site.items():
                if found.accuracy is not None:
                    values[name] = found.accuracy
                    limits = found.ci95.get("accuracy")
                    if limits is not None:
                        intervals[name] = limits
            bars.append(figures.Bars(row.key, row.title, values, intervals))
    sites = [(site.name, _tested(summary, site.name)) for site in summary.dataset.sites]
    return figures.draw_site_accuracy(sites, bars) if sites and bars else None


def _tested(summary: Summary, site: str) -> int:
    """Return how many test images of a site the arms were scored on."""
    scored: list[Metrics] = [arm.per_site[site] for arm in summary.arms.values() if site in arm.per_site]
    return max((found.total for found in scored), default=0)


def _draw_compositions(summary: Summary) -> list[tuple[str, Markup]]:
    sites = summary.dataset.sites
    if not sites:
        return []
    names = [site.name for site in sites]
    classes = {name: [site.per_class.get(name, 0) for site in sites] for name in summary.dataset.classes}
    splits = {
        "train": [site.train or 0 for site in sites],
        "validation": [site.validation or 0 for site in sites],
        "test": [site.test or 0 for site in sites],
    }
    parts = (("classes", "Images by class", classes), ("splits", "Images by use", splits))
    return [(title, figures.draw_composition(name, title, names, counts)) for name, title, counts in parts]


def _grouped(plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the plan by group; keys that stand alone get a group without a name."""
    groups = {name: values for name, values in plan.items() if isinstance(values, dict)}
    alone = {name: value for name, value in plan.items() if not isinstance(value, dict)}
    return ({"": alone} if alone else {}) | groups


def _bytes(number: int | None) -> str:
    """Return a size in decimal units, as networks count."""
    if number is None:
        return comparison.MISSING
    size = float(number)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}" if size < 1000 else f"{size:,.0f} {unit}"


def _seconds(number: float | None) -> str:
    if number is None:
        return comparison.MISSING
    if number < 120:
        return f"{number:.1f} s"
    minutes, seconds = divmod(round(number), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"


def _number(number: int | None) -> str:
    return comparison.MISSING if number is None else f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
