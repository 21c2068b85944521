"""A run on a terminal and in a file."""

import io
from pathlib import Path

from rich.console import Console

from server.runs.reading import RunView, view_run
from server.runs.run_display import RunDisplay
from tests.server.runs.written_run import entry, write_run


def test_without_a_terminal_every_event_is_one_plain_line(view: RunView) -> None:
    output = io.StringIO()
    with RunDisplay(Console(file=output, width=80), 7) as display:
        display.show("pending", None)
        display.show("running", view)
        display.show("running", view)
    assert output.getvalue().splitlines() == [
        "run 7: pending",
        "run 7: running",
        "alpha: accepts the plan",
        "beta: refuses the plan: rule families",
        "round 1/3, train loss 0.5000, before it validation accuracy 0.8000, before it validation auc 0.9000, "
        "1 hospitals, 12 s",
        "round 2/3, train loss 0.2500, before it validation accuracy 0.8000, before it validation auc 0.9000, "
        "1 hospitals, 12 s, beta left out: slow",
    ]


def test_for_whom_a_run_waits_is_shown_while_it_goes_on(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "20260101-120000-a.unfinished", [])
    (folder / "waiting.json").write_text('{"line": "waiting for beta"}')
    for terminal in (False, True):
        for status, shown in (("running", True), ("failed", False)):
            output = io.StringIO()
            with RunDisplay(Console(file=output, width=80, force_terminal=terminal), 7) as display:
                display.show(status, view_run(folder))
                display.show(status, view_run(folder))
            assert ("waiting for beta" in output.getvalue()) == shown
            assert terminal or output.getvalue().count("waiting for beta") == shown


def test_on_a_terminal_the_picture_shows_hospitals_and_rounds(view: RunView) -> None:
    output = io.StringIO()
    with RunDisplay(Console(file=output, width=120, force_terminal=True), 7) as display:
        display.show("pending", None)
        display.show("running", view)
    shown = output.getvalue()
    for part in ("round 2 of 3", "alpha", "took part", "refuses the plan: rule families", "slow", "train loss 0.2500"):
        assert part in shown


def test_a_round_without_validation_can_be_shown(tmp_path: Path) -> None:
    output = io.StringIO()
    bare = view_run(write_run(tmp_path / "run", [entry(1, start={})]))
    with RunDisplay(Console(file=output, width=80), 7) as display:
        display.show("running", bare)
    assert "round 1/3, train loss 0.5000, 1 hospitals, 12 s" in output.getvalue()
