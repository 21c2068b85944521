"""The keys of a message between server and hospital, and its flat tail vector.

A tail travels as one vector instead of named tensors, because Flower moves every tensor as two objects with several
requests each. Both sides derive names, order and shapes from the plan.
"""

from collections.abc import Mapping

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from numpy.typing import NDArray

from common.models.tail_layout import tail_digest
from common.plan.training_plan import TrainingPlan

# Records of a message.
ARRAYS = "arrays"
CONFIG = "config"
METRICS = "metrics"

# Server -> hospital, in CONFIG; a reply repeats some of them, see `receipt`.
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
SCORE_AREAS = "score-areas"
# The end of the hospital's audit log once it knows of this reply, RECORDS:HASH.
AUDIT_HEAD = "audit-head"

KEYS = frozenset(
    {ARRAYS, CONFIG, METRICS, PLAN, PLAN_DIGEST, FEDERATION, ROUND, SPLIT, TAIL_DIGEST, SITE, TAIL}
    | {AUDIT_HEAD, NAME, VERSION, TRUNK_DIGEST, IMAGES, TRAIN_IMAGES, VALIDATION_IMAGES, TEST_IMAGES}
    | {TRAIN_LOSS, SCORE_LOSS, SCORE_CONFUSION, SCORE_HISTOGRAM, SCORE_AREAS}
)
"""All of them."""

# Larger values, though finite, could overflow when they are summed; no working training reaches them.
LARGEST_LOSS = 1e30
LARGEST_CHANGE = 1e30

MetricValue = int | float | list[int] | list[float]


def request_content(
    plan: TrainingPlan, config: Mapping[str, int | str], tail: NDArray[np.float32] | None = None
) -> RecordDict:
    """Return the content of a message to a hospital: the plan, what is asked, and the global tail if there is one."""
    words = ConfigRecord({PLAN: plan.to_json(), PLAN_DIGEST: plan.digest, **config})
    if tail is None:
        return RecordDict({CONFIG: words})
    words[TAIL_DIGEST] = tail_digest(tail)
    return RecordDict({CONFIG: words, ARRAYS: tail_record(tail)})


def read_int(content: RecordDict | ConfigRecord, key: str) -> int:
    """Return a whole number of a message's config, given the message's content or the config itself.

    Raises
    ------
    ValueError
        If there is none under this key.
    """
    config = content if isinstance(content, ConfigRecord) else content.get(CONFIG)
    value = config.get(key) if isinstance(config, ConfigRecord) else None
    if not isinstance(value, int):
        raise ValueError(f"the message says {value!r} for {key!r}, not a whole number")
    return value


def tail_record(vector: NDArray[np.float32]) -> ArrayRecord:
    """Return a flat vector as the one array of a message."""
    return ArrayRecord({TAIL: Array(vector)})


def read_tail(content: RecordDict) -> NDArray[np.float32]:
    """Return the flat vector of a message.

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
        # Not which dtype: the names of its fields are the sender's words, and so is how many there are.
        raise ValueError(f"{TAIL!r} is not a flat float32 vector")
    return vector
