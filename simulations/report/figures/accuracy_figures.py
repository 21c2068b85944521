"""Figures of bars: accuracy by site and by variant, and what each site's images are."""

from collections.abc import Mapping

from common.summary.arm import MetricsRecord
from common.summary.summary import Summary
from simulations.report.plots.axes import short
from simulations.report.plots.bars import Bars, draw_accuracy, draw_composition
from simulations.report.plots.drawing import Drawing
from simulations.report.tables.cells import metrics_by_arm
from simulations.report.tables.sweep_tables import variant_label
from simulations.study.arms import ARMS, FEDERATED, GAP_ARMS


def site_figures(summary: Summary) -> list[Drawing]:
    """Return the figure of every arm's accuracy at every site."""
    bars = [
        _bars(key, summary.arms[key].per_site) for key in ARMS if key in summary.arms and summary.arms[key].per_site
    ]
    federated = summary.arms.get(FEDERATED)
    worst = federated.worst_site.name if federated and federated.worst_site and len(federated.per_site) > 1 else None
    rows = []
    for site in summary.dataset.sites:
        mark = ", worst" if site.name == worst else ""
        rows.append((site.name, f"{short(site.name, 16)} ({_tested(summary, site.name)}{mark})"))
    if not rows or not bars:
        return []
    caption = "Lines: 95 % intervals. In brackets: test images"
    caption += "; “worst”: least accurate site of federated training." if worst is not None else "."
    return [draw_accuracy("site-accuracy", "Accuracy at every site", caption, rows, bars)]


def variant_figures(summary: Summary) -> list[Drawing]:
    """Return the figure of the accuracy of every variant; none for a study without variants."""
    variants = summary.variants
    if len(variants) < 2:
        return []
    rows = [(str(index), _two_lines(variant_label(one, variants))) for index, one in enumerate(variants)]
    found = {str(index): metrics_by_arm(one.arms) for index, one in enumerate(variants)}
    by_arm = {key: {row: arms[key] for row, arms in found.items() if key in arms} for key in GAP_ARMS}
    bars = [_bars(key, metrics) for key, metrics in by_arm.items() if metrics]
    caption = "Lines: 95 % intervals."
    return [draw_accuracy("variants-accuracy", "Accuracy of the variants", caption, rows, bars)] if bars else []


def composition_figures(summary: Summary) -> list[Drawing]:
    """Return the figures of each site's images: by class, and by use where a single split has one."""
    sites = summary.dataset.sites
    if not sites:
        return []
    names = [site.name for site in sites]
    classes = {name: [site.per_class.get(name, 0) for site in sites] for name in summary.dataset.classes}
    drawn = [draw_composition("classes", "Images by class", names, classes)]
    # In a cross-validation every image is trained on and tested in turn.
    if summary.study.folds < 2 and any(site.train is not None for site in sites):
        splits = {
            "train": [site.train or 0 for site in sites],
            "validation": [site.validation or 0 for site in sites],
            "test": [site.test or 0 for site in sites],
        }
        drawn.append(draw_composition("splits", "Images by use", names, splits))
    return drawn


def _two_lines(label: str) -> str:
    """Break a long label after half of its words, so that it leaves room for the bars."""
    words = label.split(", ")
    half = (len(words) + 1) // 2
    return label if len(label) < 24 else ",\n".join(filter(None, (", ".join(words[:half]), ", ".join(words[half:]))))


def _bars(key: str, rows: Mapping[str, MetricsRecord]) -> Bars:
    values = {row: metrics.accuracy for row, metrics in rows.items() if metrics.accuracy is not None}
    intervals = {row: limits for row, metrics in rows.items() if (limits := metrics.ci95.get("accuracy"))}
    return Bars(key, ARMS[key].short_title, values, intervals)


def _tested(summary: Summary, site: str) -> int:
    """Return on how many test images of a site the arms were tested."""
    return max((arm.per_site[site].total for arm in summary.arms.values() if site in arm.per_site), default=0)
