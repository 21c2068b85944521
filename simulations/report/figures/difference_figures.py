"""Figures of the differences between two arms."""

from common.summary.summary import Summary
from simulations.report.plots.drawing import Drawing
from simulations.report.plots.forest import Contrast, draw_differences
from simulations.report.tables.differences_table import short_title
from simulations.study.arms import ARMS

_CAPTION = "Right of 0: the first of the two is better. Lines: 95 % intervals."


def difference_figures(summary: Summary) -> list[Drawing]:
    """Return a figure of the differences in accuracy, and one of those in AUC."""
    accuracies, areas = [], []
    for test in summary.tests.values():
        if test.second not in ARMS:
            continue
        label = f"{short_title(test.first)}\n− {short_title(test.second)}"
        accuracy, auc = test.accuracy, test.auc
        if accuracy is not None:
            limits = (100 * accuracy.ci95[0], 100 * accuracy.ci95[1]) if accuracy.ci95 else None
            accuracies.append(Contrast(test.second, label, 100 * accuracy.difference, limits))
        if auc is not None:
            areas.append(Contrast(test.second, label, auc.difference, auc.ci95))
    drawn = []
    if accuracies:
        quantity = "Difference in accuracy (points)"
        title = "Differences in accuracy"
        drawn.append(draw_differences("differences-accuracy", title, quantity, _CAPTION, accuracies))
    if areas:
        drawn.append(draw_differences("differences-auc", "Differences in AUC", "Difference in AUC", _CAPTION, areas))
    return drawn
