"""What travels between server and hospitals: the keys, the flat tail vector, and the scores.

One vector instead of named tensors, because Flower moves every tensor as two objects with several requests each.
Both sides derive names, order and shapes from the plan, so that none of them needs to travel.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Self

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from numpy.typing import NDArray
from torch import nn

from common.errors import InputError
from common.plan import TrainingPlan
from common.roc import ScoreHistogram
from common.scoring import Score

# Records of a message.
ARRAYS = "arrays"
CONFIG = "config"
METRICS = "metrics"

# Server -> hospital, in CONFIG; a reply repeats what it answers, see `receipt`.
PLAN = "plan"
PLAN_DIGEST = "plan-digest"
FEDERATION = "federation"
ROUND = "round"
SPLIT = "split"
TAIL_DIGEST = "tail-digest"
SITE = "site"

# The one tensor: the global tail on the way down, its change on the way up.
TAIL = "tail"

# Hospital -> server.
NAME = "name"
VERSION = "version"
TRUNK_DIGEST = "trunk-digest"
IMAGES = "num-examples"
TRAIN_IMAGES = "train-images"
VALIDATION_IMAGES = "validation-images"
TEST_IMAGES = "test-images"
TRAIN_LOSS = "train-loss"
SCORE_LOSS = "score-loss"
SCORE_CONFUSION = "score-confusion"
SCORE_HISTOGRAM = "score-histogram"

# Finite, but so large that their sums would not be: nothing that trains gives such numbers.
LARGEST_LOSS = 1e30
LARGEST_CHANGE = 1e30

# Counts of more images than this cannot be honest, and their sum over hospitals must not overflow int64.
_LARGEST_COUNT = 2**31 - 1

Metric = int | float | list[int] | list[float]

RECEIPT = (PLAN_DIGEST, FEDERATION, ROUND, SPLIT, TAIL_DIGEST)
"""Keys of a request's config that its reply repeats."""


@dataclass(frozen=True)
class TailLayout:
    """Names and shapes of tensors of a tail, in the order in which they stand in a flat vector."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, tail: nn.Module, plan: TrainingPlan) -> Self:
        """Derive what travels: everything that the plan trains, except what `personal` leaves in the hospitals.

        Raises
        ------
        InputError
            If the plan leaves the normalisation layers in the hospitals and the tail has none.
        """
        stays = set(cls.personal(tail, plan).names)
        return cls._of({name: tensor for name, tensor in _trained(tail, plan).items() if name not in stays})

    @classmethod
    def personal(cls, tail: nn.Module, plan: TrainingPlan) -> Self:
        """Derive what each hospital trains and keeps to itself; empty for every strategy but fedbn.

        That is scale, shift and statistics of the normalisation layers (Li et al. 2021, FedBN, section 3). Raises as
        `of` does.
        """
        if plan.federation.strategy != "fedbn":
            return cls((), ())
        norms = [path for path, module in tail.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        if not norms:
            raise InputError(f"fedbn needs normalisation layers, and the tail of {plan.model.family} has none")
        trained = _trained(tail, plan)
        return cls._of({name: tensor for name, tensor in trained.items() if name.rpartition(".")[0] in norms})

    @classmethod
    def _of(cls, tensors: Mapping[str, torch.Tensor]) -> Self:
        return cls(tuple(tensors), tuple(tuple(tensor.shape) for tensor in tensors.values()))

    @property
    def size(self) -> int:
        """Number of values in the vector."""
        return sum(int(np.prod(shape)) for shape in self.shapes)

    def pack(self, tail: nn.Module) -> NDArray[np.float32]:
        """Return the tail's tensors as one float32 vector of shape (size,)."""
        state = tail.state_dict()
        parts = [state[name].detach().cpu().float().numpy().ravel() for name in self.names]
        return np.concatenate([np.empty(0, np.float32), *parts])

    def unpack(self, vector: NDArray[np.float32], tail: nn.Module) -> None:
        """Write a vector of shape (size,) into the tail's tensors."""
        state = tail.state_dict()
        with torch.no_grad():
            for name, values in self.tensors(vector).items():
                state[name].copy_(torch.from_numpy(values))

    def tensors(self, vector: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Cut a vector of shape (size,) into named arrays."""
        if vector.shape != (self.size,):
            raise ValueError(f"a tail of shape {vector.shape} does not fit a layout of {self.size} values")
        ends = accumulate(int(np.prod(shape)) for shape in self.shapes)
        return {
            name: vector[end - int(np.prod(shape)) : end].reshape(shape)
            for name, shape, end in zip(self.names, self.shapes, ends, strict=True)
        }


def _trained(tail: nn.Module, plan: TrainingPlan) -> dict[str, torch.Tensor]:
    """Return the trained parameters, and the BatchNorm statistics if the plan trains them."""
    tensors: dict[str, torch.Tensor] = {name: one for name, one in tail.named_parameters() if one.requires_grad}
    if plan.model.batch_norm == "train":
        # Counts of batches are integers, and nothing reads them at a fixed momentum.
        tensors |= {name: buffer for name, buffer in tail.named_buffers() if buffer.is_floating_point()}
    return tensors


def digest_of(vector: NDArray[np.float32]) -> str:
    """SHA-256 of a tail's bytes: equal digests mean equal weights, bit for bit."""
    return hashlib.sha256(np.ascontiguousarray(vector, dtype="<f4").tobytes()).hexdigest()


def request_content(
    plan: TrainingPlan, config: Mapping[str, int | str], tail: NDArray[np.float32] | None = None
) -> RecordDict:
    """Return what a message to a hospital carries: the plan, what is asked for, and the global tail if there is one."""
    words = ConfigRecord({PLAN: plan.to_json(), PLAN_DIGEST: plan.digest, **config})
    if tail is None:
        return RecordDict({CONFIG: words})
    words[TAIL_DIGEST] = digest_of(tail)
    return RecordDict({CONFIG: words, ARRAYS: tail_record(tail)})


def receipt(config: Mapping[str, Any]) -> dict[str, int | str]:
    """Return what a reply says of the request that it answers, from the request's own config.

    By this the server tells a reply to this round from one to another, from another tail, or to another plan; and a
    hospital tells a request that it has answered before from a new one.
    """
    return {key: config[key] for key in RECEIPT if key in config}


def tail_record(vector: NDArray[np.float32]) -> ArrayRecord:
    """Wrap a flat vector as the one array of a message."""
    return ArrayRecord({TAIL: Array(vector)})


def tail_of(content: RecordDict) -> NDArray[np.float32]:
    """Unwrap the flat vector of a message.

    Raises
    ------
    ValueError
        If the message holds no such vector, or anything beside it.
    """
    arrays = content.get(ARRAYS)
    if not isinstance(arrays, ArrayRecord) or list(arrays) != [TAIL]:
        raise ValueError(f"the message does not hold exactly one array {TAIL!r}")
    try:
        vector = arrays[TAIL].numpy()
    except Exception as error:
        raise ValueError(f"{TAIL!r} cannot be read as an array ({type(error).__name__})") from error
    if not isinstance(vector, np.ndarray):
        raise ValueError(f"{TAIL!r} holds an archive, not an array")
    if vector.dtype != np.float32 or vector.ndim != 1:
        raise ValueError(f"{TAIL!r} is {vector.dtype} of shape {vector.shape}, not a flat float32 vector")
    return vector


def score_to_metrics(score: Score) -> dict[str, Metric]:
    """Return a score as what a Flower metric record takes."""
    return {
        SCORE_LOSS: score.loss,
        SCORE_CONFUSION: [int(count) for count in score.confusion.ravel()],
        SCORE_HISTOGRAM: score.histogram.to_list(),
    }


def score_from_metrics(metrics: Mapping[str, Metric], classes: int, bins: int) -> Score:
    """Rebuild a score from a reply.

    Raises
    ------
    ValueError
        If a value is missing, of the wrong length or impossible.
    """
    loss = metrics.get(SCORE_LOSS)
    if not isinstance(loss, float) or not 0 <= loss <= LARGEST_LOSS:
        raise ValueError(f"{SCORE_LOSS} is {loss!r}")
    counts = _counts(metrics, SCORE_CONFUSION, classes * classes)
    confusion = np.array(counts, dtype=np.int64).reshape(classes, classes)
    histogram = ScoreHistogram.from_list(_counts(metrics, SCORE_HISTOGRAM, classes * 2 * bins), classes)
    if (confusion.sum(axis=1) != histogram.counts[:, 1].sum(axis=1)).any():
        raise ValueError(f"{SCORE_CONFUSION} and {SCORE_HISTOGRAM} do not count the same images")
    return Score(loss, confusion, histogram)


def _counts(metrics: Mapping[str, Metric], key: str, length: int) -> list[int]:
    values = metrics.get(key)
    if not isinstance(values, Sequence) or len(values) != length:
        raise ValueError(f"{key} is not a list of {length} counts")
    counts = [value for value in values if isinstance(value, int) and 0 <= value <= _LARGEST_COUNT]
    if len(counts) != length:
        raise ValueError(f"{key} holds something else than counts")
    return counts
