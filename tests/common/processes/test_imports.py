"""No process imports what happens to lie in its working folder."""

import re
import subprocess
from pathlib import Path

import pytest

from client.daemon.programs import runner_program, supernode_program
from client.daemon.server_contact import ServerContact
from common.processes.program import Program
from simulations.launcher.cleanup import CleanupProcess
from tests.client.hospital import write_hospital
from tests.places import ROOT

PACKAGES = ("client", "common", "server", "simulations")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder with modules of the names of ours and of Python's, as a user's project may have."""
    for name in (*PACKAGES, "json", "email"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise SystemExit('the {name} of the working folder')\n")
    return tmp_path


def test_the_daemons_programs_start_in_a_folder_with_other_modules(foreign: Path) -> None:
    hospital = write_hospital(foreign, foreign)
    contact = ServerContact(hospital, print)
    (foreign / "state").mkdir(exist_ok=True)
    for program in (supernode_program(hospital, contact), runner_program(hospital, contact)):
        assert run_help(program, foreign) == 0, program.name


def run_help(program: Program, folder: Path) -> int:
    command = [*program.command, "--help"]
    return subprocess.run(command, cwd=folder, env=program.environment, capture_output=True).returncode


def test_a_run_is_cleaned_up_in_a_folder_with_other_modules(foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(foreign)
    (workplace := foreign / "workplace").mkdir()
    with CleanupProcess("mark", workplace):
        pass
    assert not workplace.exists()


def test_every_module_that_is_run_is_run_without_the_working_folder() -> None:
    places = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    runs = [match for path in places for match in re.findall(r"sys\.executable, [^)\]]*", path.read_text())]
    assert len(runs) >= 4
    assert [run for run in runs if not re.match(r'sys\.executable, "-(P|I)"', run)] == []
