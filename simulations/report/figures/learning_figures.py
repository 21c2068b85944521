"""Figures of the learning curves."""

from collections.abc import Sequence

from common.summary.arm import ArmRecord, CurvePointRecord
from common.summary.summary import Summary
from simulations.report.plots.curves import Line, draw_learning
from simulations.report.plots.drawing import Drawing
from simulations.study.arms import ARMS

# Title and scale of each measure.
_MEASURES = {
    "validation_accuracy": ("Validation accuracy (%)", 100.0),
    "validation_loss": ("Validation loss", 1.0),
    "train_loss": ("Training loss", 1.0),
}


def learning_figures(summary: Summary) -> list[Drawing]:
    """Return one figure per measure that was taken while the arms were trained."""
    drawn = []
    for name, (title, scale) in _MEASURES.items():
        lines = [line for key in ARMS if key in summary.arms and (line := _line(key, summary.arms[key], name, scale))]
        if lines:
            caption = "On the validation patients."
            if any(line.selected is not None for line in lines):
                caption += " A dot marks the model that was kept."
            if name == "train_loss":
                caption = "On the training patients, as augmented."
            if summary.study.folds > 1 or summary.study.repeats > 1:
                caption += " Mean over folds and repeats; bands: one standard deviation either way."
            drawn.append(draw_learning(name.replace("_", "-"), title, caption, lines))
    return drawn


def _line(key: str, arm: ArmRecord, name: str, scale: float) -> Line | None:
    points = _points(arm.learning_curve, name, scale)
    if not points:
        return None
    # The model is selected by validation; that says nothing on a curve of the training loss. An average is on no curve.
    shown = arm.selected is not None and arm.selected.averaged_from is None and name != "train_loss"
    selected = arm.selected.progress if arm.selected and shown else None
    return Line(key, ARMS[key].short_title, points, _spread(arm.learning_curve, name, scale), selected)


def _points(curve: Sequence[CurvePointRecord], name: str, scale: float) -> list[tuple[float, float]]:
    values = [(point.progress, getattr(point, name)) for point in curve]
    return [(progress, scale * value) for progress, value in values if value is not None]


def _spread(curve: Sequence[CurvePointRecord], name: str, scale: float) -> list[tuple[float, float, float]]:
    spreads = [(point.progress, (point.spread or {}).get(name)) for point in curve]
    return [(progress, scale * limits[0], scale * limits[1]) for progress, limits in spreads if limits is not None]
