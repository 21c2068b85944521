"""What travels, how it is scored, and which moment is kept."""

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict

from common.dataset.image_source import ArraySource
from common.dataset.records import ImageRecord
from common.errors import InputError
from common.evaluation.evaluation_counts import EvaluationCounts
from common.models.classifier import build_model
from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.scores import counts_from_metrics, counts_to_metrics
from common.training.model_selection import ModelSelection

PLAN = TrainingPlan.from_flat({"model.weights": "none", "model.freeze": "block6"})
TRAINED = PLAN.changed({"model.batch_norm": "train"})
FEDBN = TRAINED.changed({"federation.strategy": "fedbn"})
MODEL = build_model(PLAN, 2)
BINS = 10


def records(labels: list[int]) -> list[ImageRecord]:
    image = ArraySource(np.zeros((2, 2, 3), np.uint8))
    return [ImageRecord(str(i), label, str(i), None, "", image) for i, label in enumerate(labels)]


def score(labels: list[int], sick: list[float]) -> EvaluationCounts:
    column = np.array(sick)
    return EvaluationCounts.of(records(labels), np.stack([1 - column, column], axis=1), BINS)


def test_a_tail_survives_the_journey() -> None:
    layout = TailLayout.of(MODEL.tail, PLAN)
    vector = layout.pack(MODEL.tail)
    assert vector.dtype == np.float32
    assert vector.shape == (layout.size,)
    moved = vector + 1
    layout.unpack(moved, MODEL.tail)
    assert np.array_equal(layout.pack(MODEL.tail), moved)
    layout.unpack(vector, MODEL.tail)
    assert torch.equal(
        torch.from_numpy(layout.tensors(vector)["head.classifier.bias"]), MODEL.tail.head.classifier.bias
    )
    assert np.array_equal(messages.tail_of(RecordDict({"arrays": messages.tail_record(vector)})), vector)


def test_statistics_travel_only_if_they_are_trained() -> None:
    frozen, trained = TailLayout.of(MODEL.tail, PLAN), TailLayout.of(MODEL.tail, TRAINED)
    assert not any("running" in name for name in frozen.names)
    assert {name.rpartition(".")[2] for name in set(trained.names) - set(frozen.names)} == {
        "running_mean",
        "running_var",
    }


@pytest.mark.parametrize("freeze", ["early", "block6", "none"])
def test_under_fedbn_exactly_the_normalisation_layers_stay(freeze: str) -> None:
    plan = FEDBN.changed({"model.freeze": freeze})
    tail = build_model(plan, 2).tail
    travels, stays = TailLayout.of(tail, plan), TailLayout.personal(tail, plan)
    norms = [path for path, module in tail.named_modules() if "BatchNorm" in type(module).__name__]
    assert norms
    parts = ("weight", "bias", "running_mean", "running_var")
    assert set(stays.names) == {f"{path}.{part}" for path in norms for part in parts}
    assert set(travels.names) == {name for name, _ in tail.named_parameters()} - set(stays.names)
    all_of_it = TailLayout.of(tail, plan.changed({"federation.strategy": "fedavg"}))
    assert travels.size + stays.size == all_of_it.size
    assert TailLayout.personal(tail, TRAINED).size == 0


def test_what_travels_does_not_touch_what_stays() -> None:
    tail = build_model(FEDBN, 2).tail
    travels, stays = TailLayout.of(tail, FEDBN), TailLayout.personal(tail, FEDBN)
    own = stays.pack(tail)
    travels.unpack(travels.pack(tail) + 1, tail)
    assert np.array_equal(stays.pack(tail), own)
    nothing = TailLayout.personal(tail, TRAINED)
    assert nothing.pack(tail).shape == (0,)
    nothing.unpack(nothing.pack(tail), tail)


def test_fedbn_without_a_normalisation_layer_is_refused() -> None:
    with pytest.raises(InputError, match="needs normalisation layers"):
        TailLayout.of(MODEL.tail.head, FEDBN)


def test_a_vector_of_another_model_is_refused() -> None:
    layout = TailLayout.of(MODEL.tail, PLAN)
    with pytest.raises(ValueError, match="does not fit a layout"):
        layout.unpack(np.zeros(layout.size + 1, np.float32), MODEL.tail)


@pytest.mark.parametrize(
    "arrays",
    [
        ArrayRecord(),
        ArrayRecord({"other": Array(np.zeros(3, np.float32))}),
        ArrayRecord({"tail": Array(np.zeros(3, np.float32)), "more": Array(np.zeros(3, np.float32))}),
        ArrayRecord({"tail": Array(np.zeros(3))}),
        ArrayRecord({"tail": Array(dtype="float32", shape=(3,), stype="numpy.ndarray", data=b"no array")}),
        ArrayRecord({"tail": Array(np.zeros((3, 1), np.float32))}),
    ],
)
def test_anything_but_one_flat_float32_vector_is_refused(arrays: ArrayRecord) -> None:
    with pytest.raises(ValueError, match="tail"):
        messages.tail_of(RecordDict({"arrays": arrays}))


def test_a_score_survives_the_journey() -> None:
    sent = score([0, 1, 1], [0.2, 0.9, 0.4])
    record = MetricRecord(counts_to_metrics(sent))
    got = counts_from_metrics(record, classes=2, bins=BINS)
    assert got.loss == sent.loss
    assert got.confusion.tolist() == [[1, 0], [1, 1]]
    assert got.histogram.auc() == sent.histogram.auc() == 1.0


@pytest.mark.parametrize(
    "change",
    [
        {"score-loss": float("nan")},
        {"score-loss": -1.0},
        {"score-loss": 1},
        {"score-confusion": [1, 2, 3]},
        {"score-confusion": [1, -2, 3, 4]},
        {"score-confusion": [1.0, 2.0, 3.0, 4.0]},
        {"score-confusion": [1, 0, 1, 1]},
        {"score-confusion": [2**62, 2**62, 2**62, 2**62 + 1]},
        {"score-histogram": [0] * 7},
        {"score-histogram": 3},
    ],
)
def test_an_impossible_score_is_refused(change: dict[str, messages.Metric]) -> None:
    metrics = counts_to_metrics(score([0, 1], [0.1, 0.9])) | change
    with pytest.raises(ValueError, match=r"score-|histogram"):
        counts_from_metrics(metrics, classes=2, bins=BINS)


def test_hospitals_scores_add_up_to_the_pooled_one() -> None:
    pooled = score([0, 1, 1, 0, 1], [0.3, 0.8, 0.1, 0.6, 0.7])
    parts = score([0, 1], [0.3, 0.8]) + score([1, 0, 1], [0.1, 0.6, 0.7])
    assert parts.loss == pytest.approx(pooled.loss)
    assert parts.confusion.tolist() == pooled.confusion.tolist()
    assert parts.histogram.auc() == pooled.histogram.auc()
    assert parts.accuracy == pooled.accuracy == 0.6
    empty = score([], [])
    assert (empty + pooled).loss == pooled.loss
    assert empty.accuracy is None


def test_the_moment_of_lowest_validation_loss_is_kept() -> None:
    good, bad = score([1], [0.9]), score([1], [0.2])
    best, last = ModelSelection("best"), ModelSelection("last")
    for number, seen in enumerate([bad, good, good, bad], start=1):
        tail = np.full(2, number, np.float32)
        best.offer(tail, seen, number / 4)
        last.offer(tail, seen, number / 4)
        tail[:] = -1
    assert best.kept is not None
    assert last.kept is not None
    assert (best.kept.tail[0], best.kept.progress) == (3, 0.75)
    assert (last.kept.tail[0], last.kept.progress) == (4, 1.0)


def test_a_moment_that_nobody_scored_does_not_displace_one_that_was() -> None:
    # A round in which every hospital with validation images was left out.
    selection = ModelSelection("best")
    for number, seen in enumerate([None, score([1], [0.9]), score([], []), None, score([1], [0.2])], start=1):
        selection.offer(np.full(1, number, np.float32), seen, number / 5)
    assert selection.kept is not None
    assert (selection.kept.tail[0], selection.kept.progress) == (2, 0.4)


def test_without_validation_images_the_last_moment_is_kept() -> None:
    selection = ModelSelection("best")
    for number in (1, 2):
        selection.offer(np.full(1, number, np.float32), score([], []), number / 2)
    assert selection.kept is not None
    assert selection.kept.tail[0] == 2
