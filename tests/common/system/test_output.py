"""What the console scripts print where a terminal is odd, a pipe is closed or a disk is full; as processes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from tests.places import ROOT

PIPE = subprocess.PIPE
PYTHON = [sys.executable, "-P", "-c"]
# A command that prints a table and lines as ours do, and goes on after a while.
PROGRAM = r"""
import typer
from rich.table import Table
from common.errors import RunError
from common.system.command_line import run_command_line, table_console

app = typer.Typer()

@app.command()
def show(count: int = 1, fail: bool = False):
    '''Shows "words" - all of them.'''
    table = Table("K\u00f6ln \u2013 \u4e2d \u00b1 5", "[folder]")
    table.add_row("a\u2026", "/tmp/o [y]/run")
    for _ in range(count):
        table_console(60).print(table)
        print("first \u2013 last")
    if fail:
        raise RunError("K\u00f6ln \u2013 gone")

run_command_line(app)
"""
BIN = Path(sys.executable).parent
SCRIPTS = ("rarefed-sim", "rarefed-hospital", "rarefed-server")


def run(
    *arguments: str, stdout: IO[str] | int = subprocess.PIPE, **variables: str
) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [*PYTHON, PROGRAM, *arguments]
    return subprocess.run(command, env=environment, stdout=stdout, stderr=PIPE, text=True)


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
)
def test_an_ascii_terminal_loses_no_word(variables: dict[str, str]) -> None:
    done = run("--fail", **variables)
    assert (done.returncode, done.stderr) == (1, "error: Koln - gone\n")
    assert "Koln - \\u4e2d +/- 5" in done.stdout
    assert "a..." in done.stdout
    assert "first - last" in done.stdout


def test_a_terminal_of_utf_8_shows_what_was_written() -> None:
    done = run(PYTHONIOENCODING="utf-8")
    assert "Köln – 中 ± 5" in done.stdout
    assert "/tmp/o [y]/run" in done.stdout
    assert "[folder]" in done.stdout


@pytest.mark.parametrize("count", ["1", "1000"])
def test_a_reader_that_has_gone_is_no_error(count: str) -> None:
    command = f'{sys.executable} -P -c "$PROGRAM" --count {count} | true; echo ${{PIPESTATUS[0]}}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PROGRAM": PROGRAM}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_output_that_is_full_is_said_in_one_line() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = run(stdout=full)
    assert done.returncode == 1
    assert done.stderr == (
        "error: the output or a file cannot be written (No space left on device): see that the disk has room\n"
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_working_folder_that_was_deleted_is_said_in_one_line(script: str, tmp_path: Path) -> None:
    gone = f'"{tmp_path}/gone"'
    command = f'mkdir {gone} && cd {gone} && rmdir {gone} && "{BIN}/{script}" --help'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: the working folder does not exist any more: change to one that does\n"


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_console_script_ends_quietly_with_its_reader(script: str) -> None:
    command = f'"{BIN}/{script}" --help | true; echo ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("141\n", "")
