"""What the three console scripts share: `--version`, `--set`, and errors of one line with an exit code."""

import os
import sys
from importlib.metadata import version

import typer
from rich.console import Console

from common.errors import InputError, RarefedError

_INTERRUPTED = 130


def run_command_line(app: typer.Typer) -> None:
    """Run a typer app and leave the process: 0, 2 for bad input, 1 for a failed run, 130 after Ctrl-C."""
    # Only a bug of rarefed gets here; typer's page of local variables would not help, and may show private data.
    app.pretty_exceptions_enable = False
    try:
        app(standalone_mode=True)
    except RarefedError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(_INTERRUPTED) from None
    except BrokenPipeError:
        # `... | head` has closed our output, which is no error; the interpreter must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except OSError as error:
        # A full or read-only disk, or a folder of another user.
        if error.filename is None:
            raise
        advice = "see that the disk has room and that this user may write there"
        print(f"error: {error.filename} cannot be used ({error.strerror}): {advice}", file=sys.stderr)
        raise SystemExit(1) from None


def table_console(width: int, *, stderr: bool = False, markup: bool = True) -> Console:
    """Return a console for tables; without a terminal it has `width` columns instead of rich's 80."""
    console = Console(stderr=stderr, markup=markup)
    return console if console.is_terminal else Console(stderr=stderr, markup=markup, width=width)


def print_version(wanted: bool) -> None:
    """Answer `--version`; a typer callback."""
    if wanted:
        print(f"rarefed {version('rarefed')}")
        raise typer.Exit


def parse_change(change: str) -> tuple[str, str]:
    """Split what follows `--set` into a plan key and its value."""
    key, separator, value = change.partition("=")
    if not separator:
        raise InputError(f"--set {change}: expected KEY=VALUE, such as training.seed=2")
    return key.strip(), value.strip()
