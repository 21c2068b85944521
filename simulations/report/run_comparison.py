"""Finished runs side by side, in the terminal and as a page."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from common.errors import InputError
from common.summary.summary_file import read_summary
from common.system.files import write_text_atomically
from common.system.wording import plural
from simulations.analysis.predictions_csv import read_predictions
from simulations.report.limitations import tell_faults
from simulations.report.page_templates import page_templates
from simulations.report.tables.paired_runs import pair_runs
from simulations.report.tables.run_tables import run_tables
from simulations.report.tables.runs import Runs
from simulations.report.tables.table import Table
from simulations.report.terminal import draw_table


def compare_runs(folders: Sequence[Path]) -> Group:
    """Return two or more runs side by side as rich renderables.

    Raises
    ------
    InputError
        When a folder cannot be read, or there are fewer than two or more than 26.
    """
    runs = read_runs(folders)
    parts: list[RichTable | Text] = [_names_in_terminal(runs)]
    tables, untested = _tables_and_lines(runs)
    for table in tables:
        parts += draw_table(table)
        if table.caption:
            parts += [Text(table.caption), Text("")]
    parts += [Text(line) for line in untested]
    return Group(*parts)


def write_comparison(folders: Sequence[Path], path: Path) -> Path:
    """Write runs side by side as one self-contained page; errors as in `compare_runs`."""
    runs = read_runs(folders)
    tables, untested = _tables_and_lines(runs)
    page = (
        page_templates()
        .get_template("side_by_side.html.j2")
        .render(
            runs={letter: (runs.folders[letter].name, summary) for letter, summary in runs.summaries.items()},
            tables=tables,
            untested=untested,
        )
    )
    write_text_atomically(path, page)
    return path


def read_runs(folders: Sequence[Path]) -> Runs:
    """Read two or more run folders.

    Raises
    ------
    InputError
        For fewer than two or more than 26 runs, or one that cannot be read.
    """
    if not 2 <= len(folders) <= 26:
        raise InputError(f"{plural(len(folders), 'run folder')}: name 2 to 26 to compare")
    letters = {chr(ord("A") + index): folder for index, folder in enumerate(folders)}
    summaries = {letter: read_summary(folder) for letter, folder in letters.items()}
    predictions = {
        letter: read_predictions(folder, summaries[letter].dataset.classes) for letter, folder in letters.items()
    }
    return Runs(letters, summaries, predictions)


def _tables_and_lines(runs: Runs) -> tuple[list[Table], list[str]]:
    """Return the tables to show, and a line for each pair of runs, or group of pairs, that was not tested in full."""
    pairs = pair_runs(runs)
    untested = [pair.untested for pair in pairs if pair.untested]
    first, *others = runs.folders
    if len(others) > 1:
        untested.append(
            f"{', '.join(others)} were tested against {first} only: name another run first for other pairs."
        )
    return run_tables(runs) + [pair.table for pair in pairs if pair.table.rows], untested


def _names_in_terminal(runs: Runs) -> Text:
    lines = []
    for letter, summary in runs.summaries.items():
        synthetic = ", synthetic data" if summary.dataset.synthetic else ""
        lines.append(f"{letter}: {runs.folders[letter].name} ({summary.dataset.name}{synthetic})")
        lines += [f"   {sentence}" for sentence in tell_faults(summary)]
    return Text("\n".join([*lines, ""]))
