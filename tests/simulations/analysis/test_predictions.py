"""Predictions of two runs, image for image."""

from simulations.analysis.predictions import Predictions
from simulations.analysis.predictions_csv import read_predictions
from tests.simulations.report.cases import RunFactory


def test_images_are_aligned_by_name_and_not_by_line(make_run: RunFactory) -> None:
    run = make_run()
    panel = read_predictions(run, ["negative", "positive"])["federated"]
    turned = Predictions(
        panel.images[::-1],
        panel.sites[::-1],
        panel.patients[::-1],
        panel.labels[::-1],
        panel.repeats,
        panel.folds[:, ::-1],
        panel.probabilities[:, ::-1],
    )
    aligned = turned.aligned_with(panel)
    assert aligned is not None
    assert (aligned.probabilities == panel.probabilities).all()
    assert turned.of_images(turned.labels == 1).aligned_with(panel) is None
