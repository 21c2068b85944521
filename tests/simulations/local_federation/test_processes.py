"""Commands and background processes of a local federation, with Python in place of rarefed's commands."""

import errno
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from common.errors import RunError
from simulations.local_federation.hospital import LocalHospital
from simulations.local_federation.processes import LocalProcesses
from simulations.local_federation.terminal import Terminal
from tests.waiting import lives, wait_for

# Ends cleanly when it is told to; says when it can be told.
PATIENT = "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); print('ready', flush=True); signal.pause()"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def terminal(tmp_path: Path, said: list[str]) -> Terminal:
    return Terminal(tmp_path, said.append, variables={"WHO": "north"})


@pytest.fixture
def processes(tmp_path: Path, said: list[str]) -> Iterator[LocalProcesses]:
    processes = LocalProcesses(tmp_path, said.append)
    yield processes
    for owner in processes.running:
        processes.kill(owner)


def test_a_command_is_said_and_what_it_prints(terminal: Terminal, tmp_path: Path, said: list[str]) -> None:
    done = terminal.run("python", "-c", "import os; print(os.environ['WHO'], os.getcwd())")
    assert done.stdout == f"north {tmp_path}\n"
    assert said[0].startswith(f"{tmp_path.name}$ python -c import os")
    assert said[1] == f"    north {tmp_path}"


def test_a_prefix_stands_before_a_command(tmp_path: Path, said: list[str]) -> None:
    terminal = Terminal(tmp_path, said.append, prefix=("env", "WHO=south"))
    assert terminal.run("python", "-c", "import os; print(os.environ['WHO'])").stdout == "south\n"


def test_a_command_that_fails_is_an_error_unless_its_exit_code_is_wanted(terminal: Terminal) -> None:
    command = ("python", "-c", "raise SystemExit('no images')")
    with pytest.raises(RunError, match="ended with exit code 1: no images"):
        terminal.run(*command)
    assert terminal.run(*command, check=False).returncode == 1


def test_an_interrupted_command_does_not_go_on(tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        if "ready" in line and "python" not in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Terminal(tmp_path, interrupt).run("python", "-c", PATIENT)  # would wait for ever


def test_all_processes_are_stopped_though_nobody_reads_what_is_said(terminal: Terminal, tmp_path: Path) -> None:
    def say(line: str) -> None:
        raise OSError(errno.EIO, "the terminal is gone")

    processes = LocalProcesses(tmp_path, say)
    started = []
    for owner in ("north", "south"):
        processes.start(owner, terminal, "python", "-c", PATIENT)
        processes.wait_for("it to be ready", lambda owner=owner: "ready" in processes.log(owner))  # type: ignore[misc]
        started.append(processes.process_id(owner))
    with pytest.raises(OSError, match="gone"):
        processes.stop()
    assert not [pid for pid in started if psutil.pid_exists(pid)]


def test_background_processes_are_stopped_as_their_owners_would(
    terminal: Terminal, processes: LocalProcesses, said: list[str]
) -> None:
    processes.start("north", terminal, "python", "-c", PATIENT)
    assert processes.running == ("north",)
    processes.wait_for("north to be ready", lambda: "ready" in processes.log("north"))
    processes.stop()
    assert processes.running == ()
    assert said[-1] == "north: stopped, exit code 0"


def test_a_background_process_that_ends_by_itself_ends_the_wait_and_is_complained_of(
    terminal: Terminal, processes: LocalProcesses
) -> None:
    processes.start("north", terminal, "python", "-c", "raise SystemExit('no key')")
    with pytest.raises(RunError, match="north ended with exit code 1: no key"):
        processes.wait_for("what never comes", lambda: False)
    with pytest.raises(RunError, match="north ended with exit code 1"):
        processes.stop()


def test_a_hospitals_file_is_changed_by_sections(terminal: Terminal, processes: LocalProcesses) -> None:
    hospital = LocalHospital(terminal, processes, "north")
    hospital.file.write_text("server: here:1\nrules:\n  rounds: 3\n  share: []\n")
    hospital.change({"server": "there:2", "rules": {"rounds": 4}})
    assert hospital.file.read_text() == "server: there:2\nrules:\n  rounds: 4\n  share: []\n"
    assert hospital.status() == {}


def test_nothing_outlives_a_demonstration_that_is_killed(tmp_path: Path) -> None:
    program = f"""
import pathlib, time
from simulations.local_federation.processes import LocalProcesses
from simulations.local_federation.terminal import Terminal
folder = pathlib.Path({str(tmp_path)!r})
processes = LocalProcesses(folder, print)
processes.start("north", Terminal(folder, print), "python", "-c", "import time; time.sleep(600)")
print("child", processes.process_id("north"), flush=True)
time.sleep(600)
"""
    demonstration = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert demonstration.stdout is not None
    child = next(int(line.split()[1]) for line in demonstration.stdout if line.startswith("child"))
    demonstration.kill()
    demonstration.wait()
    wait_for(lambda: not lives(child), "its end")
