"""Figures of the predictions themselves: ROC curves, confusion matrices, reliability."""

from collections.abc import Mapping, Sequence

from common.summary.arm import MetricsRecord
from common.summary.summary import Summary
from simulations.analysis.predictions import Predictions
from simulations.analysis.roc_bands import mean_curve, roc_band
from simulations.report.formatting import decimal
from simulations.report.plots.curves import RocBand, draw_reliability, draw_roc
from simulations.report.plots.drawing import Drawing
from simulations.report.plots.matrices import draw_confusion
from simulations.study.arms import ARMS, LOCAL, LOCAL_ALL


def roc_figures(
    summary: Summary, found: Mapping[str, MetricsRecord], predictions: Mapping[str, Predictions]
) -> list[Drawing]:
    """Return the figure of the ROC curves of all arms that have one."""
    bands = []
    for key, metrics in found.items():
        curve = mean_curve(predictions[key]) if key in predictions else None
        if curve is not None:
            label = f"{ARMS[key].short_title}: {decimal(metrics.auc)}"
            bands.append(RocBand(key, label, curve, *roc_band(predictions[key])))
    if not bands:
        return []
    caption = "With the AUC. Bands: pointwise 95 % intervals, bootstrap over patients."
    if summary.study.folds > 1 or summary.study.repeats > 1:
        caption += " Mean of the curves of all folds and repeats."
    if {LOCAL, LOCAL_ALL} & {band.key for band in bands}:
        caption += (
            " “Own patients”: the scores of all hospitals’ models pooled; “all patients”: mean of the models’ curves."
        )
    if len(summary.dataset.classes) > 2:
        caption += " Mean of one class against the rest."
    return [draw_roc(bands, caption)]


def confusion_figures(found: Mapping[str, MetricsRecord], classes: Sequence[str]) -> list[Drawing]:
    """Return the confusion matrix of every arm."""
    return [
        draw_confusion(key, ARMS[key].full_title, metrics.confusion, classes)
        for key, metrics in found.items()
        if metrics.confusion is not None
    ]


def reliability_figures(summary: Summary) -> list[Drawing]:
    """Return the reliability diagram of every arm that has one."""
    drawn = []
    for key, arm in ARMS.items():
        record = summary.arms.get(key)
        if record is not None and record.reliability:
            title = f"{arm.short_title}: ECE {decimal(record.ece)}"
            drawn.append(draw_reliability(key, title, record.reliability))
    return drawn
