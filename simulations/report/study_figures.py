"""Which figures a study gets, out of its summary and its predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from common.summary.arm import ArmRecord, CurvePointRecord, MetricsRecord
from common.summary.summary import Summary
from simulations.analysis.predictions import Predictions
from simulations.analysis.roc_bands import mean_curve, roc_band
from simulations.report.figures.bars import Bars, draw_accuracy, draw_composition
from simulations.report.figures.canvas import Drawing, short
from simulations.report.figures.curves import Line, RocBand, draw_learning, draw_reliability, draw_roc
from simulations.report.figures.forest import Contrast, draw_differences
from simulations.report.figures.matrices import draw_confusion
from simulations.report.formatting import decimal
from simulations.report.sweep_tables import variant_label
from simulations.report.tables import SHORT_TITLES, full_title, metrics_by_arm

_LEARNING = {
    "validation_accuracy": ("Validation accuracy (%)", 100.0),
    "validation_loss": ("Validation loss", 1.0),
    "train_loss": ("Training loss", 1.0),
}


@dataclass(frozen=True)
class Gallery:
    """A study's figures by the section of the report in which they stand; each list may be empty."""

    differences: list[Drawing]
    sites: list[Drawing]
    compositions: list[Drawing]
    roc: list[Drawing]
    confusions: list[Drawing]
    reliability: list[Drawing]
    learning: list[Drawing]
    variants: list[Drawing]

    def all(self) -> list[Drawing]:
        """Return every figure."""
        return [drawing for section in fields(self) for drawing in getattr(self, section.name)]


def hang_gallery(summary: Summary, panels: Mapping[str, Predictions]) -> Gallery:
    """Choose the figures that the data allow; nothing is drawn yet."""
    found = {key: metrics for key, metrics in metrics_by_arm(summary.arms).items() if metrics.total}
    return Gallery(
        differences=_differences(summary),
        sites=_sites(summary),
        compositions=_compositions(summary),
        roc=_roc(summary, found, panels),
        confusions=_confusions(found, summary.dataset.classes),
        reliability=_reliability(summary),
        learning=_learning(summary),
        variants=_variants(summary),
    )


def _differences(summary: Summary) -> list[Drawing]:
    accuracies, areas = [], []
    for test in summary.tests.values():
        first, second = (SHORT_TITLES.get(arm, arm) for arm in (test.first, test.second))
        label = f"{first}\n− {second}"
        if test.second not in SHORT_TITLES:
            continue
        accuracy, auc = test.accuracy, test.auc
        if accuracy is not None:
            limits = (100 * accuracy.ci95[0], 100 * accuracy.ci95[1]) if accuracy.ci95 else None
            accuracies.append(Contrast(test.second, label, 100 * accuracy.difference, limits))
        if auc is not None:
            areas.append(Contrast(test.second, label, auc.difference, auc.ci95))
    caption = "Right of 0: the first of the two is better. Lines: 95 % intervals."
    drawn = []
    if accuracies:
        quantity = "Difference in accuracy (points)"
        drawn.append(draw_differences("differences-accuracy", "Differences in accuracy", quantity, caption, accuracies))
    if areas:
        drawn.append(draw_differences("differences-auc", "Differences in AUC", "Difference in AUC", caption, areas))
    return drawn


def _sites(summary: Summary) -> list[Drawing]:
    bars = [_bars(key, arm.per_site) for key in SHORT_TITLES if (arm := _arm(summary, key)) and arm.per_site]
    federated = _arm(summary, "federated")
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


def _variants(summary: Summary) -> list[Drawing]:
    variants = summary.variants
    if len(variants) < 2:
        return []
    rows = [(str(index), _two_lines(variant_label(one, variants))) for index, one in enumerate(variants)]
    by_arm = {
        key: {
            str(index): metrics_by_arm(one.arms)[key]
            for index, one in enumerate(variants)
            if key in metrics_by_arm(one.arms)
        }
        for key in ("centralized", "federated", "local-all")
    }
    bars = [_bars(key, found) for key, found in by_arm.items() if found]
    caption = "Lines: 95 % intervals."
    return [draw_accuracy("variants-accuracy", "Accuracy of the variants", caption, rows, bars)] if bars else []


def _two_lines(label: str) -> str:
    """Break a long label after half of its words, so that it leaves room for the bars."""
    words = label.split(", ")
    half = (len(words) + 1) // 2
    return label if len(label) < 24 else ",\n".join(filter(None, (", ".join(words[:half]), ", ".join(words[half:]))))


def _bars(key: str, rows: Mapping[str, MetricsRecord]) -> Bars:
    values = {row: metrics.accuracy for row, metrics in rows.items() if metrics.accuracy is not None}
    intervals = {row: limits for row, metrics in rows.items() if (limits := metrics.ci95.get("accuracy"))}
    return Bars(key, SHORT_TITLES[key], values, intervals)


def _compositions(summary: Summary) -> list[Drawing]:
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


def _roc(summary: Summary, found: Mapping[str, MetricsRecord], panels: Mapping[str, Predictions]) -> list[Drawing]:
    bands = []
    for key, metrics in found.items():
        curve = mean_curve(panels[key]) if key in panels else None
        if curve is not None:
            label = f"{SHORT_TITLES[key]}: {decimal(metrics.auc)}"
            bands.append(RocBand(key, label, curve, *roc_band(panels[key])))
    if not bands:
        return []
    caption = "With the AUC. Bands: pointwise 95 % intervals, bootstrap over patients."
    if summary.study.folds > 1 or summary.study.repeats > 1:
        caption += " Mean of the curves of all folds and repeats."
    if {"local", "local-all"} & {band.key for band in bands}:
        caption += (
            " “Own patients”: the scores of all hospitals’ models pooled; “all patients”: mean of the models’ curves."
        )
    if len(summary.dataset.classes) > 2:
        caption += " Mean of one class against the rest."
    return [draw_roc(bands, caption)]


def _confusions(found: Mapping[str, MetricsRecord], classes: Sequence[str]) -> list[Drawing]:
    return [
        draw_confusion(key, full_title(key), metrics.confusion, classes)
        for key, metrics in found.items()
        if metrics.confusion is not None
    ]


def _reliability(summary: Summary) -> list[Drawing]:
    drawn = []
    for key in SHORT_TITLES:
        arm = _arm(summary, key)
        if arm is not None and arm.reliability:
            drawn.append(draw_reliability(key, f"{SHORT_TITLES[key]}: ECE {decimal(arm.ece)}", arm.reliability))
    return drawn


def _learning(summary: Summary) -> list[Drawing]:
    drawn = []
    for name, (title, scale) in _LEARNING.items():
        lines = []
        for key in SHORT_TITLES:
            arm = _arm(summary, key)
            points = [] if arm is None else _points(arm.learning_curve, name, scale)
            if arm is not None and points:
                # The kept model is chosen by validation, and says nothing on a curve of the training loss.
                selected = arm.selected.progress if arm.selected and name != "train_loss" else None
                lines.append(Line(key, SHORT_TITLES[key], points, _spread(arm.learning_curve, name, scale), selected))
        if lines:
            caption = "On the validation patients. A dot marks the model that was kept."
            if name == "train_loss":
                caption = "On the training patients, as augmented."
            if summary.study.folds > 1 or summary.study.repeats > 1:
                caption += " Mean over folds and repeats; bands: one standard deviation either way."
            drawn.append(draw_learning(name.replace("_", "-"), title, caption, lines))
    return drawn


def _points(curve: Sequence[CurvePointRecord], name: str, scale: float) -> list[tuple[float, float]]:
    values = [(one.progress, getattr(one, name)) for one in curve]
    return [(progress, scale * value) for progress, value in values if value is not None]


def _spread(curve: Sequence[CurvePointRecord], name: str, scale: float) -> list[tuple[float, float, float]]:
    spreads = [(one.progress, (one.spread or {}).get(name)) for one in curve]
    return [(progress, scale * limits[0], scale * limits[1]) for progress, limits in spreads if limits is not None]


def _arm(summary: Summary, key: str) -> ArmRecord | None:
    return summary.arms.get(key)


def _tested(summary: Summary, site: str) -> int:
    """Return how many test images of a site the arms were scored on."""
    return max((arm.per_site[site].total for arm in summary.arms.values() if site in arm.per_site), default=0)
