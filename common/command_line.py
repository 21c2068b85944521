"""What the three console scripts share: an error is one line and an exit code, never a traceback."""

import os
import sys
from importlib.metadata import version

import typer

from common.errors import RarefedError

_INTERRUPTED = 130


def run_command_line(app: typer.Typer) -> None:
    """Run a typer app and leave the process: 0, 2 for bad input, 1 for a failed run, 130 after Ctrl-C."""
    try:
        app(standalone_mode=True)
    except RarefedError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(_INTERRUPTED) from None
    except BrokenPipeError:
        # `... | head` closed our output: nothing is wrong, and the interpreter must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


def print_version(wanted: bool) -> None:
    """Answer `--version`; a typer callback."""
    if wanted:
        print(f"rarefed {version('rarefed')}")
        raise typer.Exit
