"""What a person sees of a run's log: one line for what Python and Flower tell in twenty."""

import pytest

from server.runs.readable_log import readable_lines

_EXIT_CODE = """\
ERROR :     Exit Code: 201

An unhandled exception occurred in the ServerApp.

For more information, visit: <https://flower.ai/docs/framework/1.42/en/ref-exit-codes/201.html>
"""


def traceback(end: str) -> str:
    frame = '  File "/x/flwr/run_serverapp.py", line 221, in run_serverapp\n    context = run_(\n              ^^^^^\n'
    return f"Traceback (most recent call last):\n{frame}{end}\n"


def read(text: str, size: int = 10_000) -> list[str]:
    return list(readable_lines((text[at : at + size] for at in range(0, len(text), size)), "the file"))


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_an_error_in_words_for_people_is_told_once(size: int) -> None:
    told = "error: 0 of 1 admitted hospitals came online within 3 s; offline: alpha"
    raised = "ERROR :     ServerApp raised an exception\n" + traceback(told.replace("error", "common.errors.RunError"))
    assert read(f"round 1/2\n{told}\n{raised}{_EXIT_CODE}the next\n", size) == ["round 1/2", told, "the next"]
    assert read(raised + _EXIT_CODE, size) == [told], "a run that ended before rarefed's own code began"


def test_what_may_be_a_bug_says_where_its_traceback_stands() -> None:
    cause = traceback("KeyError: 3") + "\nDuring handling of the above exception, another exception occurred:\n\n"
    thread = "Exception in thread Thread-3 (_log_uploader):\n" + traceback("httpx.HTTPStatusError: 401")
    assert read(
        "error: ValueError('x')\n" + cause + traceback("ValueError: x") + thread + traceback("KeyError: 4")
    ) == [
        "error: ValueError('x')",
        *(
            f"error: {each} (its traceback stands in the file)"
            for each in ("ValueError: x", "httpx.HTTPStatusError: 401", "KeyError: 4")
        ),
    ]


def test_a_log_without_errors_is_shown_as_it_is() -> None:
    text = (
        "north left out: no reply in time\n\n  indented\nWARNING :   Connection attempt failed, retrying in 1 s\nhalf"
    )
    assert read(text, 5) == text.split("\n")


def test_flowers_lines_without_a_message_are_left_out() -> None:
    text = "INFO :      \nINFO :      round 1/2\nDEBUG :\n\nINFO:\nEnd:\n"
    assert read(text) == ["INFO :      round 1/2", "", "End:"]
    told = "error: it failed"
    raised = "INFO :      \n" + traceback("common.errors.RunError: it failed")
    assert read(f"{told}\n{raised}") == [told]


def test_help_of_another_flower_does_not_swallow_what_follows() -> None:
    shown = read(_EXIT_CODE.replace("For more", "More") + "".join(f"round {number}\n" for number in range(20)))
    assert shown[-1] == "round 19"
    assert len(shown) > 10
