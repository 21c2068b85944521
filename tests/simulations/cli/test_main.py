"""What the commands and the launcher load before Flower starts: little, so that the first line comes at once."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

TRAINING = ("torch", "torchvision", "timm", "ray", "flwr", "grpc", "sklearn", "pandas", "matplotlib", "cv2")
# Reading images and dealing them out needs these.
DATA = ("numpy", "scipy", "PIL")

MAIN = """
from simulations.cli.main import main
main()
"""

# The command itself, with a Flower that starts no process and says what is loaded when it starts, and when the plan is
# checked.
RUN = """
import simulations.launcher.launch

class NoFlower:
    def __init__(self, *_):
        print_loaded()

    def submit(self, *_):
        print_loaded()
        raise KeyboardInterrupt

simulations.launcher.launch.PrivateFlower = NoFlower
"""


def loaded_by(code: str, folder: Path, *arguments: str) -> list[set[str]]:
    """Return which libraries a process has loaded whenever it calls `print_loaded`, and at its end."""
    start = f"""
import atexit, sys
sys.argv = ["rarefed-sim", *{arguments}]
def print_loaded():
    print("loaded:", [name for name in {TRAINING + DATA} if name in sys.modules])
atexit.register(print_loaded)
"""
    command = [sys.executable, "-P", "-c", start + code]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert "Traceback" not in answer.stderr, answer.stderr
    found = [line.removeprefix("loaded: ") for line in answer.stdout.splitlines() if line.startswith("loaded: ")]
    return [set(ast.literal_eval(line)) for line in found]


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("weights", "fetch", "--help")])
def test_help_loads_nothing_large(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert loaded_by(MAIN, tmp_path, *arguments) == [set()]


@pytest.mark.slow
def test_nothing_large_is_loaded_when_flower_starts_and_nothing_that_trains_when_the_plan_is_checked(
    tmp_path: Path,
) -> None:
    at_start, when_checked, at_end = loaded_by(RUN + MAIN, tmp_path, "run")
    assert at_start == set()
    assert when_checked <= set(DATA)
    assert at_end == when_checked
