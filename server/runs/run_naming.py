"""The names of run folders: provisional while a run goes on, final once it is finished.

Imported by processes that must start quickly, so it loads nothing but the standard library.
"""

import contextlib
import itertools
import re
import time
from pathlib import Path

ROUND_CHECKPOINTS = Path("checkpoints") / "rounds"
"""Where a run folder keeps the round checkpoints of its trainings, in one folder per training."""

LATEST = "latest"
"""The link beside the run folders that points to the run that was finished last."""

_UNFINISHED = ".unfinished"

# Of a run, of the 255 characters that a file's name may have.
_LONGEST_NAME = 100


def reserve_run(output: Path, name: str) -> Path:
    """Make the unfinished folder of a new run and return its final name: `<output>/<time>-<name>`.

    Runs that begin in the same second get a number behind the name.
    """
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{re.sub(r'[^A-Za-z0-9._-]+', '-', name)[:_LONGEST_NAME]}"
    for number in itertools.count(1):
        final = output / (stem if number == 1 else f"{stem}-{number}")
        if not final.exists():
            with contextlib.suppress(FileExistsError):
                unfinished(final).mkdir(parents=True)
                return final
    raise AssertionError("unreachable")


def is_published(final: Path) -> bool:
    """Say whether a run has its final name, and `latest` points to it."""
    latest = final.with_name(LATEST)
    return final.is_dir() and latest.is_symlink() and latest.readlink().name == final.name


def unfinished(final: Path) -> Path:
    """Return the provisional name of a run folder."""
    return final.with_name(f"{final.name}{_UNFINISHED}")


def final_name(folder: Path) -> Path:
    """Return the final name of a run folder, given either of its names."""
    return folder.with_name(folder.name.removesuffix(_UNFINISHED))


def is_unfinished(folder: Path) -> bool:
    """Say whether a run folder has its provisional name."""
    return folder.suffix == _UNFINISHED


def unfinished_runs(output: Path) -> list[Path]:
    """Return the folders of runs that go on or were interrupted, the newest first."""
    return sorted(output.glob(f"*{_UNFINISHED}"), reverse=True)
