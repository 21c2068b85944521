"""The Makefile hands a path on as it was typed, whatever is in it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.places import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")

PRINT_WORDS = '#!/bin/sh\nfor word in "$@"; do echo "$word"; done\n'


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """A folder with a `rarefed-sim` that prints its arguments, one a line."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "rarefed-sim").write_text(PRINT_WORDS)
    (folder / "rarefed-sim").chmod(0o755)
    return folder


def words(commands: Path, stood: Path, *variables: str) -> list[str]:
    # No installation is wanted here.
    make = ["make", "--no-print-directory", "-C", str(ROOT), f"BIN={commands}", "INSTALLED="]
    environment = {**os.environ, "PWD": str(stood)}
    done = subprocess.run([*make, "simulate", *variables], cwd=stood, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["pat's images", "a b", "$HOME", 'x "y"', "ü, 1%", "o [y]", "a;b", "`id`", "*"])
def test_data_of_any_name_is_found(name: str, commands: Path, tmp_path: Path) -> None:
    stood = tmp_path / name
    (stood / name).mkdir(parents=True)
    expected = ["run", "--data", str(stood / name), "--sites", "0"]
    if "$" not in name:  # on its command line, make takes a dollar for the beginning of a variable of its own
        assert words(commands, stood, f"DATA={name}") == expected
    assert words(commands, stood, f"DATA={stood / name}".replace("$", "$$"))[:2] == expected[:2]
    (stood / "images").mkdir()
    assert words(commands, stood, "DATA=images") == ["run", "--data", str(stood / "images"), "--sites", "0"]


def test_without_data_the_options_are_handed_on(commands: Path, tmp_path: Path) -> None:
    assert words(commands, tmp_path, "SITES=3", "ARGS=--set 'study.name=a b'") == [
        *("run", "--sites", "3", "--set", "study.name=a b")
    ]
