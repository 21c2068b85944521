"""Why a hospital did not do what it was asked: a closed list of reasons, the only ones that reach the coordinator.

The text of an exception may contain a path, a file name or a patient's name, so it never leaves the hospital. One of
these reasons leaves instead; they tell nothing about the data.
"""

from enum import StrEnum

_REFUSED = "refused by rule "
_FAILED = "failed: "


class Rule(StrEnum):
    """A rule of `hospital.yaml` by which a hospital refuses; the value is its field below `rules`."""

    APPS = "apps"
    APP_CODE = "app_code"  # not a field: an app that carries code is refused everywhere
    FAMILIES = "families"
    LEAST_IMAGES = "least_images"
    LEAST_PATIENTS = "least_patients"
    HOURS = "hours"
    LOCAL_EPOCHS = "local_epochs"
    ROUNDS = "rounds"
    ROUNDS_PER_DAY = "rounds_per_day"
    MEGABYTES_PER_ROUND = "megabytes_per_round"
    CLIP_NORM = "require.update_clip_norm"
    PLANS = "plans"
    CLASSES = "classes"
    SMALLEST_SIZE = "bounds.smallest_size"
    LARGEST_SIDE = "bounds.largest_side"
    VIEWS = "bounds.views"
    FREEZE = "bounds.freeze"
    LEARNING_RATE = "bounds.learning_rate"
    TAILS = "tails"
    TESTS = "tests"
    FEDERATIONS = "federations"


class Failure(StrEnum):
    """What went wrong inside a hospital."""

    BAD_MESSAGE = "bad-message"  # the server's message cannot be used
    DATA = "data"  # the images cannot be used
    WEIGHTS = "weights"  # the pretrained weights are missing
    MEMORY = "memory"  # more was needed than there is, or than is allowed
    CRASH = "crash"  # the training process died
    TIME = "time"  # training took longer than the server waits for it
    REPLY = "reply"  # the egress guard stopped the reply
    STATE = "state"  # the audit log or the state folder cannot be written, or something in it is damaged
    TRAINING = "training"  # anything else


def refusal(rule: Rule) -> str:
    """Return the reason for a refusal by a rule."""
    return f"{_REFUSED}{rule.value}"


def failure(kind: Failure) -> str:
    """Return the reason for a failure."""
    return f"{_FAILED}{kind.value}"


def refusing_rule(reason: str) -> Rule | None:
    """Return the rule of a refusal's reason; None for any other reason."""
    word = reason.removeprefix(_REFUSED)
    return Rule(word) if word != reason and word in set(Rule) else None


def known_reason(reason: str) -> bool:
    """Say whether a reason is one of the closed list."""
    return refusing_rule(reason) is not None or reason.removeprefix(_FAILED) in set(Failure)
