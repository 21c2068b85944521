"""How the console scripts end."""

import errno
import os

import pytest
import typer

from common.errors import InputError, RunError
from common.system.command_line import run_command_line


def ending(
    error: BaseException | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str]:
    app = typer.Typer()

    @app.command()
    def work() -> None:
        if error is not None:
            raise error

    monkeypatch.setattr("sys.argv", ["rarefed"])
    with pytest.raises(SystemExit) as ended:
        run_command_line(app)
    return int(ended.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (None, 0, ""),
        (InputError("no plan"), 2, "error: no plan\n"),
        (RunError("no luck"), 1, "error: no luck\n"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/state/audit.jsonl"),
            1,
            "error: /state/audit.jsonl cannot be used (No space left on device): see that the disk has room and that "
            "this user may write there\n",
        ),
    ],
)
def test_an_ending_is_one_line_and_an_exit_code(
    error: BaseException | None,
    code: int,
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert ending(error, capsys, monkeypatch) == (code, line)


def test_a_fault_of_our_own_is_not_hidden(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()

    @app.command()
    def work() -> None:
        raise OSError("without a file")

    monkeypatch.setattr("sys.argv", ["rarefed"])
    with pytest.raises(OSError, match="without a file"):
        run_command_line(app)
