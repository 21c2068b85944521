"""What a machine, or the container that this process is in, has: memory, CPU cores, disk space."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import psutil

GIGABYTE = 10**9
_CGROUP_MEMORY = Path("/sys/fs/cgroup/memory.max")


def memory_gigabytes() -> float:
    """Return the machine's memory in GB, or the container's limit if that is lower."""
    there = psutil.virtual_memory().total
    with contextlib.suppress(OSError, ValueError):  # no container, or "max"
        there = min(there, int(_CGROUP_MEMORY.read_text()))
    return float(there) / GIGABYTE


def usable_cores() -> int:
    """Return how many CPU cores a container or systemd leaves to this process, where the system can say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def nearest_folder(path: Path) -> Path:
    """Return a folder itself, or the deepest of its parents that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def lack_of_room(folder: Path, least: float, mend: str = "set TMPDIR to a folder with room") -> str:
    """Return a clause that names a folder with less than so many GB free, to follow another error; else nothing."""
    with contextlib.suppress(OSError):
        if free_gigabytes(folder) < least:
            return f"; {folder} is full: free some space there, or {mend}"
    return ""


def free_gigabytes(folder: Path) -> float:
    """Return the free disk space in GB of a folder, which need not exist yet."""
    return shutil.disk_usage(nearest_folder(folder)).free / GIGABYTE


def try_to_write(folder: Path) -> None:
    """Write a file of a few bytes in an existing folder, and remove it.

    Raises
    ------
    OSError
        If that fails: the folder is not there, not ours, read-only, or its disk is full.
    """
    with tempfile.TemporaryFile(dir=folder) as stream:
        stream.write(bytes(4096))
