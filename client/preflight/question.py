"""One question in HTTP to whoever answers, of whose answer nothing but the head is read."""

from collections.abc import Mapping
from dataclasses import dataclass

import h11

from client.preflight.line import Line, TlsLine
from common.system.header_lines import read_header_lines_in_linear_time

_LARGEST_HEAD = 2**14

read_header_lines_in_linear_time()


class NoHttpError(ConnectionError):
    """What came back is no answer in HTTP."""


@dataclass(frozen=True)
class Answer:
    """The head of an answer.

    Attributes
    ----------
    status : int
        From 200 to 999.
    headers : tuple of (str, str)
        Names in lower case, and values, which may hold any sign but NUL and line breaks.
    """

    status: int
    headers: tuple[tuple[str, str], ...]

    def all(self, name: str) -> list[str]:
        """Return the values of a header."""
        return [value for known, value in self.headers if known == name.lower()]

    def first(self, name: str) -> str | None:
        """Return the first value of a header; None if there is none."""
        return next(iter(self.all(name)), None)


def ask(line: Line | TlsLine, method: str, target: str, headers: Mapping[str, str]) -> Answer:
    """Send a request without a body, and return the head of its answer.

    With h11, as the SuperNode's httpx reads it: what is understood here is understood there.

    Raises
    ------
    NoHttpError
        If it is none, or larger than 16 kB.
    OSError
        As `Line`.
    """
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
    line.send(connection.send(h11.Request(method=method, target=target, headers=list(headers.items()))) or b"")
    try:
        while not isinstance(event := connection.next_event(), h11.Response):
            # Of answers such as 100 Continue there may be as many as the line takes.
            if event is h11.NEED_DATA:
                connection.receive_data(line.receive())
            elif not isinstance(event, h11.InformationalResponse):
                raise NoHttpError
    except h11.RemoteProtocolError as error:
        raise NoHttpError from error
    told = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in event.headers)
    return Answer(event.status_code, told)
