"""The ways in which tests spoil a hospital's reply (`inject/malformed.py`), and why each is left out."""

import importlib.util
from collections.abc import Callable

from flwr.app import RecordDict

from tests.production.small import INJECT

REASONS = {
    "nan": "NaN or infinity",
    "infinity": "NaN or infinity",
    "beyond float": r"values beyond 1e\+30",
    "a hundred times larger": "times the usual",
    "one value, to be broadcast": "update of 1 values instead of",
    "one value short": r"update of \d+ values instead of",
    "two dimensions": "not a flat float32 vector",
    "float64": "not a flat float32 vector",
    "int64": "not a flat float32 vector",
    "float16": "not a flat float32 vector",
    "zero images": "weight is 0",
    "negative images": "weight is -5",
    "more images than declared": "weight is 1000000",
    "half an image": "weight is 0.5",
    "no image count": "weight is no number",
    "one score missing": "score-loss is no number",
    "a loss that is no number": "train-loss is nan",
    "a metric too many": "not asked for: unknown",
    "scores of other images": "do not count the same images",
    "another plan": "answers another request: plan-digest",
    "a replayed round": "answers another request: round 1 instead of",
    "another tail": "answers another request: tail-digest",
    "another federation": "answers another request: federation",
    "a word too many": "not asked for: unknown",
    "an array too many": "exactly one array",
    "a record too many": "not asked for: unknown",
    "no update": "exactly one array",
    "no metrics": "no metrics record",
    "no receipt": "does not say what it answers",
    "nothing": "does not say what it answers",
    "bytes that are no array": "cannot be read as an array",
    "two gigabytes claimed": "cannot be read as an array",
    "a pickle": "cannot be read as an array",
    "too late": "no reply in time",
}


def ways() -> dict[str, Callable[[RecordDict], None]]:
    """Return what spoils a reply in place, by the name of the way; hospitals run the file, and import no tests."""
    spec = importlib.util.spec_from_file_location("malformed", INJECT / "malformed.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Callable[[RecordDict], None]] = module.WAYS
    return found
