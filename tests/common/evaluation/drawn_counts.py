"""Evaluation counts out of labels and scores, for tests."""

import numpy as np

from common.dataset.image_source import ArraySource
from common.dataset.records import ImageRecord
from common.evaluation.evaluation_counts import EvaluationCounts

BINS = 10


def records(labels: list[int]) -> list[ImageRecord]:
    image = ArraySource(np.zeros((2, 2, 3), np.uint8))
    return [ImageRecord(str(i), label, str(i), None, "", image, grey=True) for i, label in enumerate(labels)]


def counts_of(labels: list[int], sick: list[float]) -> EvaluationCounts:
    column = np.array(sick)
    return EvaluationCounts.of(records(labels), np.stack([1 - column, column], axis=1), BINS)
