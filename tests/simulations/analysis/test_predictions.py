"""Predictions of two runs, image for image."""

from simulations.analysis.predictions import Predictions
from simulations.analysis.predictions_csv import read_predictions
from tests.simulations.report.cases import RunFactory


def test_images_are_aligned_by_name_and_not_by_line(make_run: RunFactory) -> None:
    run = make_run()
    predictions = read_predictions(run, ["negative", "positive"])["federated"]
    turned = Predictions(
        predictions.images[::-1],
        predictions.sites[::-1],
        predictions.patients[::-1],
        predictions.labels[::-1],
        predictions.repeats,
        predictions.models[:, ::-1],
        predictions.probabilities[:, ::-1],
    )
    aligned = turned.aligned_with(predictions)
    assert aligned is not None
    assert (aligned.probabilities == predictions.probabilities).all()
    assert turned.of_images(turned.labels == 1).aligned_with(predictions) is None
