"""All figures of a study, by the section of the report in which they stand."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from common.summary.summary import Summary
from simulations.analysis.predictions import Predictions
from simulations.report.figures.accuracy_figures import composition_figures, site_figures, variant_figures
from simulations.report.figures.difference_figures import difference_figures
from simulations.report.figures.learning_figures import learning_figures
from simulations.report.figures.prediction_figures import confusion_figures, reliability_figures, roc_figures
from simulations.report.plots.drawing import Drawing
from simulations.report.tables.cells import metrics_by_arm


@dataclass(frozen=True)
class StudyFigures:
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


def draw_study_figures(summary: Summary, predictions: Mapping[str, Predictions]) -> StudyFigures:
    """Choose the figures that the data allow; each is drawn when it is asked for a file or an element of the page."""
    found = {key: metrics for key, metrics in metrics_by_arm(summary.arms).items() if metrics.total}
    return StudyFigures(
        differences=difference_figures(summary),
        sites=site_figures(summary),
        compositions=composition_figures(summary),
        roc=roc_figures(summary, found, predictions),
        confusions=confusion_figures(found, summary.dataset.classes),
        reliability=reliability_figures(summary),
        learning=learning_figures(summary),
        variants=variant_figures(summary),
    )
