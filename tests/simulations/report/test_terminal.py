"""The comparison in the terminal."""

import pytest
from rich.console import Console

from common.summary.summary_file import read_summary
from simulations.report.terminal import TABLE_WIDTH, render_table
from tests.simulations.report.cases import CASES, RunFactory
from tests.simulations.report.reading import shown


@pytest.mark.parametrize("case", CASES)
def test_the_terminal_table_fits_its_width_and_holds_no_colour_when_piped(case: str, make_run: RunFactory) -> None:
    summary = read_summary(make_run(**CASES[case]))
    console = Console(width=TABLE_WIDTH, force_terminal=False, record=True)
    with console.capture() as capture:
        console.print(render_table(summary))
    text = capture.get()
    assert "\x1b" not in text
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= TABLE_WIDTH
    for arm in summary.arms.values():
        if arm.total:
            assert f"{shown(arm.correct)}/{arm.total}" in text
    for site in summary.dataset.sites:
        assert site.name.split()[0] in text
