"""The supervisor with real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from common.processes.program import Program, Timing
from common.processes.rotating_log import RotatingLog
from common.processes.supervisor import Supervisor
from tests.waiting import lives

QUICK = Timing(first_delay=0.05, longest_delay=0.2, settled=60, start=10, probe=0.1, patience=3, grace=1)
SLEEP = "import time; time.sleep(600)"
WITH_A_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid)
time.sleep(600)
"""


class Watched:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.supervisor = Supervisor(self._note)

    def _note(self, line: str) -> None:
        if "running as process" not in line:
            self.said.append(line)

    def start(self, name: str, code: str, **options: Any) -> None:
        command = [sys.executable, "-c", code]
        options = {"timing": QUICK} | options
        self.supervisor.start(Program(name, command, self.log(name), self.folder, **options))

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def running(self, name: str) -> int:
        wait_for(lambda: self.supervisor.state(name).pid is not None and self.supervisor.state(name).ready)
        pid = self.supervisor.state(name).pid
        assert pid is not None
        return pid


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    each, before = Watched(tmp_path), psutil.Process().children(recursive=True)
    with each.supervisor:
        yield each
    assert set(psutil.Process().children(recursive=True)) <= set(before)


def wait_for(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_crashing_program_is_started_again_and_again_and_its_last_words_are_kept(watched: Watched) -> None:
    lines: list[str] = []
    watched.start("crash", "import os; print('last words'); os._exit(7)", on_line=lines.append)
    wait_for(lambda: watched.supervisor.state("crash").restarts >= 3)
    assert watched.supervisor.state("crash").last_exit == "exit code 7"
    assert "crash: exit code 7; starting it again in 0 s" in watched.said[0]
    assert lines.count("last words") >= 3
    assert watched.log("crash").read_text().count("last words") >= 3
    assert "--- crash ended: exit code 7" in watched.log("crash").read_text()


def test_a_program_that_is_not_there_is_named(watched: Watched) -> None:
    watched.supervisor.start(Program("lost", ["/no/such/program"], watched.log("lost"), watched.folder, timing=QUICK))
    wait_for(lambda: watched.said)
    assert "/no/such/program: No such file" in watched.log("lost").read_text()


def test_a_killed_program_is_started_again(watched: Watched) -> None:
    watched.start("killed", SLEEP)
    first = watched.running("killed")
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: watched.supervisor.state("killed").pid not in (first, None))
    assert watched.supervisor.state("killed").last_exit == "killed by SIGKILL"


def test_a_program_that_lives_and_does_nothing_is_started_again(watched: Watched) -> None:
    well = [True]
    watched.start("hang", SLEEP, ready=lambda: True, alive=lambda: well[0])
    first = watched.running("hang")
    well[0] = False
    wait_for(lambda: watched.said)
    assert "hang: gave no sign of life 3 times in a row" in watched.said[0]
    assert not lives(first)


def test_a_program_that_does_not_become_ready_is_started_again(watched: Watched) -> None:
    timing = Timing(first_delay=0.05, start=0.3, probe=0.1, grace=1)
    watched.start("late", SLEEP, ready=lambda: False, timing=timing)
    wait_for(lambda: watched.said)
    assert "late: not ready after 0 s" in watched.said[0]
    assert not watched.supervisor.state("late").ready


def test_a_probe_that_raises_says_no(watched: Watched) -> None:
    watched.start("odd", SLEEP, ready=lambda: True, alive=lambda: bool(1 / 0))
    wait_for(lambda: watched.said)
    assert "odd: gave no sign of life 3 times in a row" in watched.said[0]
    assert "cannot be looked at: ZeroDivisionError" in watched.log("odd").read_text()


def test_a_restart_on_demand_says_why(watched: Watched) -> None:
    watched.start("asked", SLEEP)
    watched.running("asked")
    watched.supervisor.restart("asked", "a run waits")
    wait_for(lambda: watched.supervisor.state("asked").restarts == 1)
    assert watched.said[0].startswith("asked: a run waits; starting it again")


def test_one_that_ignores_sigterm_and_its_children_are_gone_after_stop(watched: Watched) -> None:
    pids: list[int] = []
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + WITH_A_CHILD
    watched.start("deaf", deaf, on_line=lambda line: pids.append(int(line)))
    wait_for(lambda: pids)
    pids.append(watched.running("deaf"))
    began = time.monotonic()
    watched.supervisor.stop()
    assert 1 <= time.monotonic() - began < 8
    assert not any(lives(pid) for pid in pids)
    assert watched.said == []


def test_programs_end_in_reverse_order(watched: Watched) -> None:
    watched.start("first", SLEEP)
    watched.start("second", SLEEP)
    watched.running("first")
    watched.running("second")
    watched.supervisor.stop()
    ended = [watched.log(name).read_text().splitlines()[-1] for name in ("second", "first")]
    assert all("ended: killed by SIGTERM" in line for line in ended)
    assert ended == sorted(ended)


def test_lines_that_are_not_worth_it_and_faulty_readers_do_no_harm(watched: Watched) -> None:
    code = "print('chatter'); print('news'); import time; time.sleep(600)"
    watched.start("talks", code, keep=lambda line: line != "chatter", on_line=lambda line: int(line) and None)
    wait_for(lambda: "news" in watched.log("talks").read_text())
    text = watched.log("talks").read_text()
    assert " chatter" not in text
    assert "cannot handle the line above: ValueError" in text


def test_delays_grow_to_the_longest_and_no_further() -> None:
    delays = [Timing().delay(failures) for failures in (1, 2, 3, 7, 100)]
    for delay, most in zip(delays, (1, 2, 4, 60, 60), strict=True):
        assert 0.8 * most <= delay <= most


def test_a_log_rotates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.processes.rotating_log._LOG_BYTES", 1000)
    log = RotatingLog(tmp_path / "logs" / "some.log")
    for number in range(500):
        log.write(f"line {number}")
    log.close()
    files = sorted((tmp_path / "logs").iterdir())
    assert [file.name for file in files] == ["some.log", *(f"some.log.{number}" for number in range(1, 6))]
    assert "line 499" in files[0].read_text()


SUPERVISED = """
import sys
from pathlib import Path
from common.processes.program import Program
from common.processes.supervisor import Supervisor
folder, program = Path(sys.argv[1]), [sys.executable, "-c", sys.argv[2]]
with Supervisor(print) as supervisor:
    for name in ("one", "two"):
        supervisor.start(Program(name, program, folder / f"{name}.log", folder))
    supervisor.run_until_signal(lambda: print("tick", flush=True), 0.2)
print("stopped", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_supervisor_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    command = [sys.executable, "-c", SUPERVISED, str(tmp_path), WITH_A_CHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        # What kills orphans, two programs, and a child of each.
        wait_for(lambda: len(psutil.Process(supervisor.pid).children(recursive=True)) == 5)
        family = psutil.Process(supervisor.pid).children(recursive=True)
        supervisor.send_signal(number)
        output, _ = supervisor.communicate(timeout=15)
    wait_for(lambda: not any(lives(process.pid) for process in family))
    assert "tick" in output
    assert supervisor.returncode == (0 if number != signal.SIGKILL else -signal.SIGKILL)
    assert ("stopped" in output) == (number != signal.SIGKILL)
