"""What may leave this hospital: the last check of a reply, whatever made it.

A reply is built anew from the few values that are on the closed list, in the ranges that they can have. Anything else
becomes a failure without details. The rules decide which of the allowed values are withheld.
"""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from flwr.app import ConfigRecord, MessageType, MetricRecord, RecordDict
from numpy.typing import NDArray

from client.rules.hospital_file import RulesSection
from client.rules.policy import HospitalFailure, check_images
from client.rules.request import Request
from client.rules.score_release import few_digits, releasable
from common.evaluation.evaluation_counts import EvaluationCounts
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.evaluation_metrics import counts_from_metrics, counts_to_metrics
from common.protocol.messages import MetricValue
from common.protocol.receipt import receipt_of
from common.protocol.refusals import Failure
from common.system.files import is_sha256

_COUNTS = (messages.TRAIN_IMAGES, messages.VALIDATION_IMAGES, messages.TEST_IMAGES)
_SCORE = (messages.SCORE_LOSS, messages.SCORE_CONFUSION, messages.SCORE_HISTOGRAM, messages.SCORE_AREAS)
_VERSION = re.compile(r"[0-9A-Za-z.+]{1,40}")
# Of a clipped float32 vector's norm.
_ROUNDING = 1e-4


class Release(NamedTuple):
    """The part of a reply that may leave, and what this hospital alone is told of it.

    Attributes
    ----------
    content : RecordDict
        What may leave.
    withheld : tuple of str
        The keys that the rules withhold.
    images : int or None
        How many were trained on or tested; None where none were asked for.
    """

    content: RecordDict
    withheld: tuple[str, ...]
    images: int | None


def release(reply: RecordDict, request: Request, rules: RulesSection, name: str) -> Release:
    """Return what of a reply may leave.

    Parameters
    ----------
    reply : RecordDict
        What the ClientApp answered.
    request : Request
        What it answers.
    rules : RulesSection
        What this hospital shares.
    name : str
        The hospital's name, the only one that may leave.

    Returns
    -------
    Release

    Raises
    ------
    HospitalFailure
        With `Failure.REPLY` if it holds anything that is not on the closed list, or an impossible value.
    Refusal
        If it was trained on fewer images than the rules demand.
    """
    kind = request.kind
    arrays = {messages.ARRAYS} if kind == MessageType.TRAIN else set()
    if set(reply) != {messages.METRICS, messages.CONFIG} | arrays:
        raise _stopped("records other than those of the closed list")
    metrics, words = reply[messages.METRICS], reply[messages.CONFIG]
    if not isinstance(metrics, MetricRecord) or not isinstance(words, ConfigRecord):
        raise _stopped("metrics or words of another type")
    receipt = receipt_of(request.config)
    told = {key: value for key, value in words.items() if receipt.get(key) != value}
    content = RecordDict()
    images = None
    if kind == MessageType.QUERY:
        receipt |= _identity(told, name)
        allowed, withheld = _counts(metrics, rules)
    else:
        if told:
            raise _stopped("words beside the receipt of the request")
        score = _score(metrics, request.plan)
        allowed, withheld = _told_of(score, rules)
        images = score.images
    content[messages.CONFIG] = ConfigRecord({**receipt})
    if kind == MessageType.TRAIN:
        images = _trained_images(metrics, rules)
        allowed |= {messages.IMAGES: images} | _told_loss(metrics, rules)
        withheld += [messages.TRAIN_LOSS] if messages.TRAIN_LOSS not in allowed else []
        content[messages.ARRAYS] = messages.tail_record(_change(reply, request.plan.privacy.update_clip_norm))
    if surplus := metrics.keys() - allowed.keys() - set(withheld):
        raise _stopped(f"metrics that are not on the closed list: {', '.join(sorted(surplus))}")
    content[messages.METRICS] = MetricRecord(dict(sorted(allowed.items())))
    return Release(content, tuple(withheld), images)


def _identity(told: Mapping[str, object], name: str) -> dict[str, str]:
    if set(told) != {messages.NAME, messages.VERSION, messages.TRUNK_DIGEST}:
        raise _stopped("an identity other than name, version and trunk digest")
    version, digest = str(told[messages.VERSION]), str(told[messages.TRUNK_DIGEST])
    if told[messages.NAME] != name or not _VERSION.fullmatch(version) or not is_sha256(digest):
        raise _stopped("a name, version or trunk digest that cannot be")
    return {messages.NAME: name, messages.VERSION: version, messages.TRUNK_DIGEST: digest}


def _counts(metrics: MetricRecord, rules: RulesSection) -> tuple[dict[str, MetricValue], list[str]]:
    counts = {key: _count(metrics, key) for key in _COUNTS}
    withheld = [key for key, count in counts.items() if 0 < count < rules.suppress_below]
    return {key: count for key, count in counts.items() if key not in withheld}, withheld


def _score(metrics: MetricRecord, plan: TrainingPlan) -> EvaluationCounts:
    confusion = metrics.get(messages.SCORE_CONFUSION)
    classes = math.isqrt(len(confusion)) if isinstance(confusion, list) else 0
    try:
        return counts_from_metrics(dict(metrics), classes, plan.exchange.score_bins)
    except ValueError as error:
        raise _stopped(str(error)) from error


def _told_of(score: EvaluationCounts, rules: RulesSection) -> tuple[dict[str, MetricValue], list[str]]:
    """Return the evaluation counts as coarse as the rules demand, or none of them where they may not be told."""
    told = releasable(score, rules) if "scores" in rules.share else None
    return ({}, list(_SCORE)) if told is None else (dict(counts_to_metrics(told)), [])


def _trained_images(metrics: MetricRecord, rules: RulesSection) -> int:
    images = _count(metrics, messages.IMAGES)
    check_images(rules, images)
    return images


def _told_loss(metrics: MetricRecord, rules: RulesSection) -> dict[str, MetricValue]:
    loss = metrics.get(messages.TRAIN_LOSS)
    if not isinstance(loss, float) or not 0 <= loss <= messages.LARGEST_LOSS:
        raise _stopped(f"a training loss of {loss!r}")
    return {messages.TRAIN_LOSS: few_digits(loss)} if "train_loss" in rules.share else {}


def _change(reply: RecordDict, limit: float) -> NDArray[np.float32]:
    try:
        change = messages.read_tail(reply)
    except ValueError as error:
        raise _stopped(str(error)) from error
    if not np.isfinite(change).all():
        raise _stopped("an update with NaN or infinity")
    # What the plan promises, and a rule may have demanded, is measured in what leaves, whoever clipped it.
    if limit and np.linalg.norm(change.astype(np.float64)) > limit * (1 + _ROUNDING):
        raise _stopped(f"an update whose norm is above the {limit:g} that the plan allows")
    return change


def _count(metrics: MetricRecord, key: str) -> int:
    count = metrics.get(key)
    if not isinstance(count, int) or count < 0:
        raise _stopped(f"{key} = {count!r}")
    return count


def _stopped(what: str) -> HospitalFailure:
    return HospitalFailure(Failure.REPLY, f"the egress guard stopped a reply: it holds {what}")
