"""What the console scripts share: `--version`, `--set`, tables, and how they end: one line and an exit code."""

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import typer
from rich.console import Console
from typer.core import TyperGroup

from common.errors import InputError, RarefedError
from common.system.output_encoding import make_output_readable

_INTERRUPTED, _NOBODY_READS = 130, 141
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


class Commands(TyperGroup):
    """The commands of a console script: what was typed wrong is one line, as every other error, not typer's box.

    Give it to the script's `typer.Typer` as `cls`; it serves the groups below it too.
    """

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the options before the command's name."""
        with _mistyped(info_name or ""):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Find the command, read its options and run it."""
        with _mistyped(ctx.command_path, lambda: ctx.invoked_subcommand):
            return super().invoke(ctx)


@contextlib.contextmanager
def _mistyped(group: str, command: Callable[[], str | None] = lambda: None) -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        # Nothing is wrong with a name of a group alone: click has answered with the help.
        if type(error).__name__ == "NoArgsIsHelpError":
            raise
        said = " ".join(error.format_message().split()).rstrip(".")
        # An option without its value is noticed where click has no context at hand.
        path = error.ctx.command_path if error.ctx else f"{group} {command() or ''}".strip()
        raise InputError(f"{said[:1].lower()}{said[1:]}; see `{path} --help`") from error


def run_command_line(app: typer.Typer) -> None:
    """Run a typer app and leave the process.

    The exit code is 0, 2 for bad input, 1 for a failed run, 130 after Ctrl-C, and 141 if nobody reads the output any
    more, as after `... | head`.
    """
    make_output_readable()
    # Only a bug of rarefed gets here; typer's page of local variables would not help, and may show private data.
    app.pretty_exceptions_enable = False
    code = _run(app)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        code = _end_by(error)
    raise SystemExit(code) from None


def _run(app: typer.Typer) -> int:
    """Run a typer app and return the exit code."""
    try:
        _require_working_folder()
        app(standalone_mode=True)
    except SystemExit as ending:
        # click and rich end in their own ways where nobody reads the output.
        if isinstance(ending.__context__, BrokenPipeError):
            return _end_by(ending.__context__)
        if isinstance(interrupt := getattr(ending.__context__, "__cause__", None), KeyboardInterrupt):
            _say(_words_of(interrupt))
        return int(ending.code or 0)
    except RarefedError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        _say(_words_of(interrupt))
        return _INTERRUPTED
    except OSError as error:
        return _end_by(error)
    return 0


def _words_of(interrupt: KeyboardInterrupt) -> str:
    return str(interrupt) or "interrupted"


def _end_by(error: OSError) -> int:
    """Say what is wrong with a file, a folder or the output, and return the exit code; raise a bug of ours again."""
    if isinstance(error, BrokenPipeError):
        _drop_output()
        return _NOBODY_READS
    if error.filename is not None:
        # A full or read-only disk, or a folder of another user.
        advice = "see that the disk has room and that this user may write there"
        _complain(f"{error.filename} cannot be used ({error.strerror}): {advice}")
        return 1
    if error.errno not in _FULL:
        raise error
    _complain(f"the output or a file cannot be written ({error.strerror}): see that the disk has room")
    _drop_output()
    return 1


def _complain(reason: str) -> None:
    _say(f"error: {reason}")


def _say(line: str) -> None:
    # The terminal may be gone, and with it whoever would read this.
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _drop_output() -> None:
    """Send what is still to be written nowhere: the interpreter must not complain when it flushes at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _require_working_folder() -> None:
    """Raise `InputError` if the folder was deleted: libraries fail there in ways of their own."""
    try:
        Path.cwd()
    except FileNotFoundError:
        raise InputError("the working folder does not exist any more: change to one that does") from None


def table_console(width: int, *, stderr: bool = False) -> Console:
    """Return a console for tables; without a terminal it has `width` columns instead of rich's 80.

    It prints text as it is: square brackets are part of a path or a name, not markup.
    """
    console = Console(stderr=stderr, markup=False)
    return console if console.is_terminal else Console(stderr=stderr, markup=False, width=width)


def confirm(question: str, option: str) -> bool:
    """Ask somebody at the terminal; raises `InputError` if nobody is there, with the option that answers instead."""
    try:
        return typer.confirm(question)
    except typer.Abort:
        raise InputError(f"nobody answered, and nothing was done: {option} answers without being asked") from None


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
