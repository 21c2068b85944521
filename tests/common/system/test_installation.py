"""From which folders Flower can start, by starting its database there."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common.system.installation import problem_of

# What Flower's SuperLink does first.
MAKE_TABLES = """
import sqlite3, sys
from sqlalchemy import create_engine
from flwr.supercore.state.alembic import utils
utils.run_migrations(create_engine("sqlite:///" + sys.argv[1]))
tables = sqlite3.connect(sys.argv[1]).execute("select count(*) from sqlite_master where type = 'table'").fetchone()[0]
sys.exit(tables < 10)
"""


@pytest.mark.parametrize("name", ["a b", "a,b", "a%b", "ü'[c];#"])
def test_the_folders_that_are_refused_are_those_in_which_flower_makes_no_tables(name: str, tmp_path: Path) -> None:
    spec = importlib.util.find_spec("flwr")
    assert spec
    assert spec.origin
    flower = tmp_path / name / "flwr"
    shutil.copytree(Path(spec.origin).parent, flower, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**os.environ, "PYTHONPATH": str(flower.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-c", MAKE_TABLES, str(tmp_path / "state.db")]
    works = subprocess.run(command, env=environment, capture_output=True).returncode == 0
    assert works == (problem_of(flower) is None)


def test_the_line_names_the_folder_and_the_way_out() -> None:
    told = problem_of(Path("/home/a b/rarefed/.venv/lib/flwr"))
    assert told
    assert "/home/a b/rarefed/.venv/lib/flwr" in told
    assert "make VENV=" in told
