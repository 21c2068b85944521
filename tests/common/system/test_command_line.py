"""How the console scripts end."""

import errno
import os

import pytest
import typer

from client.cli import main as hospital
from common.errors import InputError, RunError
from common.system.command_line import run_command_line
from server.cli import main as server
from simulations.cli import main as simulations


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


@pytest.mark.parametrize(
    ("typed", "said", "page"),
    [
        (
            "rarefed-sim run --sites=x",
            "invalid value for '--sites': 'x' is not a valid integer range",
            "run --help`",
        ),
        ("rarefed-sim run here", "got unexpected extra argument (here)", "run --help`"),
        ("rarefed-sim weights fetch", "missing argument 'FAMILIES...'", "weights fetch --help`"),
        ("rarefed-server run", "missing argument 'PLAN.toml'", "run --help`"),
        ("rarefed-server run --set", "option '--set' requires an argument", "run --help`"),
        ("rarefed-server --flder x status", "no such option '--flder'", "rarefed-server --help`"),
        ("rarefed-hospital chek", "no such command 'chek'", "rarefed-hospital --help`"),
        ("rarefed-hospital audit show --lst 3", "no such option '--lst'", "rarefed-hospital audit show --help`"),
        ("rarefed-hospital audit show --last -1", "is not in the range x>=0", "audit show --help`"),
    ],
)
def test_what_was_mistyped_is_one_line(
    typed: str, said: str, page: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = typed.split()[0]
    monkeypatch.setattr("sys.argv", typed.split())
    with pytest.raises(SystemExit) as ended:
        {"rarefed-sim": simulations, "rarefed-server": server, "rarefed-hospital": hospital}[program].main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    assert said in err
    assert "; see `" in err
    assert err.endswith(f"{page}\n")


def test_a_group_without_a_command_shows_its_help(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["rarefed-hospital", "audit"])
    with pytest.raises(SystemExit) as ended:
        hospital.main()
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert "rarefed-hospital audit [OPTIONS] COMMAND" in out
    assert err == ""
