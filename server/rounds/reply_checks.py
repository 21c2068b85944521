"""Checks on a hospital's reply before it touches the model.

A hospital whose reply fails a check is left out of the round, by name and reason. No reason repeats a word of the
reply that `common.protocol.reply_words` does not let pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from flwr.app import ConfigRecord, Error, Message, MetricRecord, RecordDict
from numpy.typing import NDArray

from common.evaluation.evaluation_counts import EvaluationCounts
from common.models.tail_layout import TailLayout
from common.protocol import messages
from common.protocol.evaluation_metrics import counts_from_metrics
from common.protocol.receipt import RECEIPT
from common.protocol.reply_words import (
    UNKNOWN,
    digest_word,
    failure_word,
    head_word,
    key_words,
    number_word,
    version_word,
)

# How many times the confirmed number of images a hospital may declare: it gets more of them over time.
_GROWTH = 1.5
# The closed list of metrics that a reply may hold.
_COUNTS = (messages.TRAIN_IMAGES, messages.VALIDATION_IMAGES, messages.TEST_IMAGES)
_SCORE = frozenset({messages.SCORE_LOSS, messages.SCORE_CONFUSION, messages.SCORE_HISTOGRAM, messages.SCORE_AREAS})
_UPDATE = _SCORE | {messages.IMAGES, messages.TRAIN_LOSS}
# The values that a reply to a query may hold beside the receipt of the request.
_IDENTITY = frozenset({messages.NAME, messages.VERSION, messages.TRUNK_DIGEST})


class BadReply(Exception):  # noqa: N818 - what the server met, not a fault of the server
    """A reply that cannot be used; its text is the reason, without the hospital's name."""


@dataclass(frozen=True)
class SiteInfo:
    """What a hospital says of itself in reply to a query.

    Attributes
    ----------
    name, version, trunk_digest : str
        Its name, the version of its rarefed, and the digest of its frozen trunk.
    train_images : int
        Number of its training images: the largest weight that it may have in an average.
    validation_images, test_images : int or None
        None where a hospital does not share so small a count.
    """

    name: str
    version: str
    trunk_digest: str
    train_images: int
    validation_images: int | None
    test_images: int | None


@dataclass(frozen=True)
class SiteReport:
    """What a hospital reports in one round beside the change.

    Attributes
    ----------
    images : int
        Number of images it trained on, as it says.
    train_loss : float or None
        Mean of its last local epoch; None where a hospital does not share it.
    change_norm : float
        L2 norm of the change.
    evaluation : EvaluationCounts or None
        Of the tail that the round started from, on its validation images; None where a hospital does not share it.
    weight : int
        Its weight in the average: `images`, bounded by what is usual in the round; 0 before that is known.
    audit_head : str
        Number and hash of the last record of its audit log, to which the server is a witness; "" in a simulation.
    """

    images: int
    train_loss: float | None
    change_norm: float
    evaluation: EvaluationCounts | None
    weight: int = 0
    audit_head: str = ""


@dataclass(frozen=True)
class Update:
    """A usable reply to one round: the change of the tail, of shape (layout.size,), and its report."""

    change: NDArray[np.float32]
    report: SiteReport


def check_receipt(reply: Message, receipt: Mapping[str, int | str]) -> None:
    """Raise `BadReply` for a failure, and for a reply to another request than that of the receipt."""
    told = _words(reply)
    for key, asked in receipt.items():
        if told.get(key) != asked:
            words = f"{number_word(told.get(key))} instead of {asked}" if isinstance(asked, int) else "is another"
            raise BadReply(f"answers another request: {key} {words}")


def read_info(reply: Message) -> SiteInfo:
    """Check and read the reply to a query; raises `BadReply`."""
    metrics = _metrics(reply, frozenset(), frozenset(_COUNTS), _IDENTITY)
    identity = _words(reply)
    name, version = identity.get(messages.NAME), version_word(identity.get(messages.VERSION))
    trunk = digest_word(identity.get(messages.TRUNK_DIGEST))
    train, validation, test = (_told_count(metrics, key) for key in _COUNTS)
    if not (isinstance(name, str) and name) or UNKNOWN in (version, trunk) or train is None:
        raise BadReply("name, version, trunk digest or number of training images is missing")
    return SiteInfo(name, version, trunk, train, validation, test)


def check_introduction(info: SiteInfo, admitted: str, confirmed: int | None, trunk_digest: str) -> None:
    """Raise `BadReply` if a hospital is not the one that was admitted, or cannot train the same network.

    Parameters
    ----------
    info : SiteInfo
        What it says of itself.
    admitted : str
        The name under which it was admitted; empty: any.
    confirmed : int or None
        How many images it has, as the coordinator confirmed; None: nobody did.
    trunk_digest : str
        The server's.
    """
    if admitted and info.name != admitted:
        raise BadReply(f"goes by another name than {admitted}, as which it was admitted")
    if info.trunk_digest != trunk_digest:
        raise BadReply(
            f"holds another frozen trunk ({info.trunk_digest[:12]}, rarefed {info.version}) than "
            f"the server ({trunk_digest[:12]}): use the same weights file on both sides"
        )
    declared = info.train_images + (info.validation_images or 0) + (info.test_images or 0)
    if confirmed is not None and declared > _GROWTH * confirmed:
        raise BadReply(
            f"declares {declared} images, {confirmed} were confirmed: ask it, and confirm more with "
            "`images` in the consortium file and `rarefed-server provision`"
        )


def read_update(reply: Message, site: SiteInfo, layout: TailLayout, classes: int, bins: int) -> Update:
    """Check and read the reply to a round; raises `BadReply`."""
    metrics = _metrics(reply, frozenset({messages.ARRAYS}), _UPDATE)
    try:
        change = messages.read_tail(reply.content)
    except ValueError as error:
        raise BadReply(str(error)) from error
    if change.shape != (layout.size,):
        raise BadReply(f"update of {change.size} values instead of {layout.size}")
    if not np.isfinite(change).all():
        raise BadReply("update holds NaN or infinity")
    if np.abs(change).max() > messages.LARGEST_CHANGE:
        raise BadReply(f"update holds values beyond {messages.LARGEST_CHANGE:.0e}")
    images, train_loss = metrics.get(messages.IMAGES), metrics.get(messages.TRAIN_LOSS)
    if not isinstance(images, int) or not 0 < images <= site.train_images:
        raise BadReply(f"its weight is {number_word(images)}, declared {site.train_images} images")
    if train_loss is not None and not (isinstance(train_loss, float) and 0 <= train_loss <= messages.LARGEST_LOSS):
        raise BadReply(f"{messages.TRAIN_LOSS} is {number_word(train_loss)}")
    evaluation = _evaluation(metrics, site.validation_images, classes, bins)
    head = head_word(_words(reply).get(messages.AUDIT_HEAD))
    return Update(change, SiteReport(images, train_loss, _norm(change), evaluation, audit_head=head))


def read_evaluation(reply: Message, images: int | None, classes: int, bins: int) -> EvaluationCounts | None:
    """Check and read the reply to an evaluation over `images` images; None if it is not shared; raises `BadReply`."""
    return _evaluation(_metrics(reply, frozenset(), _SCORE), images, classes, bins)


def failure_reason(error: Error) -> str:
    """Return why a hospital gave no answer, in words of the closed list."""
    return failure_word(error.code, error.reason or "")


def list_failures(failures: Mapping[str, str]) -> str:
    """Return the reasons for which replies cannot be used as one line: names and reasons."""
    return "; ".join(f"{name}: {reason}" for name, reason in failures.items())


def _norm(change: NDArray[np.float32]) -> float:
    # In float32 the squares of values below the largest allowed one would overflow to infinity.
    return float(np.linalg.norm(change.astype(np.float64)))


def _metrics(
    reply: Message, records: frozenset[str], metrics_allowed: frozenset[str], words: frozenset[str] = frozenset()
) -> MetricRecord:
    """Return the reply's metrics; raises `BadReply` if it holds anything that was not asked for."""
    metrics = _content(reply).get(messages.METRICS)
    if not isinstance(metrics, MetricRecord):
        raise BadReply(f"no {messages.METRICS} record")
    config = _words(reply)
    surplus = reply.content.keys() - records - {messages.METRICS, messages.CONFIG}
    surplus |= (metrics.keys() - metrics_allowed) | (config.keys() - words - {*RECEIPT, messages.AUDIT_HEAD})
    if surplus:
        raise BadReply(f"holds what was not asked for: {key_words(surplus)}")
    return metrics


def _content(reply: Message) -> RecordDict:
    if reply.has_error():
        raise BadReply(failure_reason(reply.error))
    return reply.content


def _words(reply: Message) -> ConfigRecord:
    words = _content(reply).get(messages.CONFIG)
    if not isinstance(words, ConfigRecord):
        raise BadReply(f"no {messages.CONFIG} record: it does not say what it answers")
    return words


def _told_count(metrics: MetricRecord, key: str) -> int | None:
    count = metrics.get(key)
    if count is not None and not (isinstance(count, int) and count >= 0):
        raise BadReply(f"{key} is {number_word(count)}")
    return count


def _evaluation(metrics: MetricRecord, images: int | None, classes: int, bins: int) -> EvaluationCounts | None:
    if not _SCORE & metrics.keys():
        return None
    try:
        counts = counts_from_metrics(metrics, classes, bins)
    except ValueError as error:
        raise BadReply(str(error)) from error
    if counts.images != images:
        raise BadReply(f"scored {counts.images} images, declared {'none' if images is None else images}")
    return counts
