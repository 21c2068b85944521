"""What the server's answer to a signed `GET /health` says: does the federation run, and are clock and key right?"""

import contextlib
import http.client
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from client.preflight.certificates import SET_CLOCK
from client.preflight.findings import Finding, Status, failed, passed, warn
from client.preflight.question import Answer
from common.errors import InputError
from common.security.node_key import KNOWN_AS, UNKNOWN, read_node_key
from common.system.wording import shortened

SERVER = "federation"
"""Name of the check whether a federation answers."""

NO_GATEWAY = "something else than rarefed's gateway listens there: ask the coordinator"
"""What to do where it does not."""

_CLOCK, _KEY = "clock", "membership"
# Flower takes a message whose time is up to 5 s in the future or 305 s in the past; the header has whole seconds.
_REFUSED_AHEAD, _REFUSED_BEHIND = 4.5, 300.0
_WARN_AHEAD, _WARN_BEHIND = 2.0, 30.0
# "Sun, 06 Nov 1994 08:49:37 GMT" has 29 characters.
_LONGEST_DATE = 40
_LONGEST_NAME = 80


def judge_answer(answer: Answer, sent: datetime, key: EllipticCurvePrivateKey | None, name: str) -> Iterator[Finding]:
    """Say what an answer tells.

    Parameters
    ----------
    answer : Answer
    sent : datetime
        When it was asked for.
    key : EllipticCurvePrivateKey or None
        What it was signed with.
    name : str
        By which the server should know the key.
    """
    health = _judge_health(answer.status)
    yield health
    if health.status == Status.FAILED:
        return
    clock = _judge_clock(answer.first("Date"), sent)
    yield clock
    if clock.status == Status.FAILED:
        return  # by a wrong clock, no signature holds
    if key is not None:
        yield from _judge_key(answer.first(KNOWN_AS), name)


def signing_key(path: Path) -> EllipticCurvePrivateKey | None:
    """Return the key to sign with; None where it cannot be read, of which the machine's checks tell."""
    with contextlib.suppress(InputError, OSError):
        return read_node_key(path)
    return None


def _judge_health(status: int) -> Finding:
    if status == http.client.OK:
        return passed(SERVER, "the federation is serving")
    if status == http.client.SERVICE_UNAVAILABLE:
        found = "the server is up, but its federation does not run (503)"
        return warn(SERVER, found, "nothing to do here: it begins when the coordinator starts it")
    found = f"GET /health was answered by {status}"
    return failed(SERVER, found, NO_GATEWAY)


def _judge_clock(date: str | None, sent: datetime) -> Finding:
    """Compare the clocks; the header has whole seconds, and was written between the request and now."""
    server_time = _read_date(date or "")
    if server_time is None:
        mend = "compare this machine's time with the coordinator's by hand"
        return warn(_CLOCK, "the server does not tell its time", mend)
    here = sent + (datetime.now(UTC) - sent) / 2
    skew = (here - server_time).total_seconds()
    direction = "ahead of" if skew > 0 else "behind"
    found = f"this machine's clock is {abs(skew):.0f} s {direction} the server's"
    mend = f"{SET_CLOCK}; Flower refuses a clock that is 5 s ahead, or 5 minutes behind"
    if not -_REFUSED_BEHIND < skew < _REFUSED_AHEAD:
        return failed(_CLOCK, found, mend)
    if not -_WARN_BEHIND < skew < _WARN_AHEAD:
        return warn(_CLOCK, found, mend)
    return passed(_CLOCK, "agrees with the server's within seconds")


def _read_date(date: str) -> datetime | None:
    """Return the time that a header tells, give or take half a second; None if it tells none."""
    if len(date) > _LONGEST_DATE:
        return None
    # Years, days and zones of any size are numbers too, and each overflows in a way of its own.
    with contextlib.suppress(ValueError, OverflowError, TypeError):
        return parsedate_to_datetime(date).replace(tzinfo=UTC) + timedelta(seconds=0.5)
    return None


def _judge_key(known_as: str | None, name: str) -> Iterator[Finding]:
    if known_as == UNKNOWN:
        mend = (
            "it is not approved yet, or was revoked: ask the coordinator to compare the fingerprint that "
            "`rarefed-hospital enroll` prints; one that was revoked never comes back: `enroll --new-key`"
        )
        yield failed(_KEY, "the server does not know this hospital's key", mend)
    elif known_as and known_as != name:
        known_as = shortened(known_as, _LONGEST_NAME)
        mend = "take the key of this hospital back, or set its name in hospital.yaml; a key is for one hospital"
        yield failed(_KEY, f"the server knows this hospital's key as that of {known_as!a}", mend)
    elif known_as:  # a proxy of the coordinator's own may not say
        yield passed(_KEY, f"the server knows it as {known_as!a}")
