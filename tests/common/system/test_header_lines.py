"""h11 with another pattern of header lines: it takes the same lines, and none of them longer."""

import re
import time

import h11
import pytest
from h11 import _abnf, _readers
from hypothesis import given
from hypothesis import strategies as st

from common.system import header_lines

THEIRS = re.compile(_abnf.header_field.encode("ascii"))


@pytest.fixture(autouse=True)
def changed() -> None:
    header_lines.read_header_lines_in_linear_time()


@given(st.text(alphabet="a:- \t\0\x1b\xe4\r", max_size=12))
def test_the_same_lines_match_in_the_same_way(line: str) -> None:
    sent = line.encode("latin-1")
    theirs, ours = THEIRS.fullmatch(sent), _readers.header_field_re.fullmatch(sent)
    assert (theirs and theirs.groupdict()) == (ours and ours.groupdict())


@pytest.mark.parametrize("line", [b"x:" + b" " * 16_000 + b"\0", b"x:" + b" \t" * 8000 + b"y" + b" " * 99 + b"\0"])
def test_no_line_takes_long(line: bytes) -> None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\n" + line + b"\r\n\r\n")
    before = time.process_time()
    with pytest.raises(h11.RemoteProtocolError):
        connection.next_event()
    assert time.process_time() - before < 0.5
