"""The installed command with a plan that trains in seconds."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

COMMAND = str(Path(sys.executable).parent / "rarefed-sim")
QUICK = {
    "data.size": "64",
    "augmentation.views": "2",
    "federation.rounds": "2",
    "federation.local_epochs": "1",
    "study.centralized_epochs": "2",
    "training.learning_rate": "1e-3",
}


def settings(**changes: str) -> list[str]:
    """Return the quick plan as options; `federation__rounds="3"` changes `federation.rounds`."""
    named = QUICK | {key.replace("__", "."): value for key, value in changes.items()}
    return [word for key, value in named.items() for word in ("--set", f"{key}={value}")]


def start(command: list[str], folder: Path, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start a command whose output is read line by line, while it runs."""
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
