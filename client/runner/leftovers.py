"""What the process that reads images may leave behind: caches and this hospital's own layers, and nothing else.

A hostile image may leave there what holds up or misleads whoever comes next, or a disk that is full. It can make no
links, pipes or devices (`common.processes.call_filter`); what it can make is looked at here, by whoever started it.
"""

import os
import re
import shutil
import stat
from pathlib import Path
from typing import NamedTuple

from common.training.cache_limit import GIB, cache_limit


class _Content(NamedTuple):
    """What a folder may hold, as regular expressions of paths in it."""

    folders: re.Pattern[str]
    files: re.Pattern[str]


_CACHE = _Content(
    re.compile(r"trunk(/[0-9a-f]{2})?"),
    re.compile(r"decoded-[0-9a-f]{8}\.sqlite|trunk/[0-9a-f]{2}/([0-9a-f]{64}\.safetensors|\.[0-9a-f]{16}\.part)"),
)
_LAYERS = _Content(
    re.compile(r"[0-9a-f]{32}"),
    re.compile(r"[0-9a-f]{32}/(round-[0-9]+\.safetensors|\.round-[0-9]+\.safetensors\.[0-9a-f]{16}\.part)"),
)
# An index of many files, and what several processes may write beyond the limit before one of them notices.
_SLACK = 2 * GIB


def remove_leftovers(cache: Path, layers: Path) -> None:
    """Remove what is neither cache nor layers, and the whole cache if it is far larger than it may be."""
    if cache.is_dir() and _sweep(cache, _CACHE) > cache_limit() + _SLACK:
        shutil.rmtree(cache / "trunk", ignore_errors=True)
        for index in cache.glob("decoded-*"):
            index.unlink(missing_ok=True)
    if layers.is_dir():
        _sweep(layers, _LAYERS)


def _sweep(folder: Path, content: _Content) -> int:
    """Remove what a folder may not hold; return the bytes on disk of what it may."""
    top, size = folder.resolve(), 0
    for parent, folders, files, descriptor in os.fwalk(top, follow_symlinks=False):
        below = Path(parent).relative_to(top)
        for name in (*folders, *files):
            path = (below / name).as_posix()
            try:
                status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    if not content.folders.fullmatch(path):
                        shutil.rmtree(name, dir_fd=descriptor)
                elif stat.S_ISREG(status.st_mode) and content.files.fullmatch(path):
                    size += status.st_blocks * 512
                else:
                    os.unlink(name, dir_fd=descriptor)
            except FileNotFoundError:
                pass  # another process evicts entries at this moment
    return size
