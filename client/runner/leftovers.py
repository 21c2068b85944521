"""What the process that reads images may leave behind: caches and this hospital's own layers, and nothing else.

A hostile image may leave there what holds up or misleads whoever comes next, or a disk that is full. It can make no
links, pipes or devices (`common.processes.call_filter`); what it can make is looked at here, by whoever started it.
"""

import contextlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from client.rules.policy import HospitalFailure
from common.protocol.refusals import Failure
from common.system.wording import printable
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
# Counted for each file at least: many empty ones fill a disk too.
_LEAST_ENTRY = 2**12
_READ_WRITE = stat.S_IRUSR | stat.S_IWUSR
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_leftovers(cache: Path, layers: Path) -> None:
    """Remove what is neither cache nor layers, and the whole cache if it is far larger than it may be.

    Raises
    ------
    HospitalFailure
        If something cannot be opened or removed; what lies beside it is removed all the same.
    """
    sweep = _Sweep()
    with sweep.noting(cache):
        if cache.is_dir() and sweep.of(cache, _CACHE) > cache_limit() + _SLACK:
            shutil.rmtree(cache / "trunk", ignore_errors=True)
            for index in cache.glob("decoded-*"):
                index.unlink(missing_ok=True)
    with sweep.noting(layers):
        if layers.is_dir():
            sweep.of(layers, _LAYERS)
    if sweep.problems:
        raise HospitalFailure(Failure.STATE, sweep.problems[0])


class _Sweep:
    """Removes what folders may not hold, as far as it can.

    Attributes
    ----------
    problems : list of str
        What could not be opened or removed, and why.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []

    def of(self, folder: Path, content: _Content) -> int:
        """Sweep a folder; return the bytes on disk of what it may hold."""
        size = 0
        with self.noting(folder):
            descriptor = os.open(folder.resolve(), _FOLDER)
            try:
                size = self._below(descriptor, folder, "", content)
            finally:
                os.close(descriptor)
        return size

    def _below(self, descriptor: int, folder: Path, below: str, content: _Content) -> int:
        size = 0
        # Folders last: where a disk is full, it is files that make room for what moves.
        for folders in (False, True):
            for entry in os.scandir(descriptor):
                if entry.is_dir(follow_symlinks=False) == folders:
                    path = below + entry.name
                    with self.noting(folder / path):
                        if not folders:
                            size += _sweep_file(entry, descriptor, kept=bool(content.files.fullmatch(path)))
                        elif content.folders.fullmatch(path):
                            with _opened(entry.name, descriptor) as inner:
                                size += self._below(inner, folder, f"{path}/", content)
                        else:
                            _remove_folder(entry.name, descriptor)
        return size

    @contextlib.contextmanager
    def noting(self, path: Path) -> Iterator[None]:
        """Note what goes wrong with something, and go on behind it."""
        try:
            yield
        except FileNotFoundError:
            pass  # another process evicts entries at this moment
        except OSError as error:
            self.problems.append(f"{printable(str(path))} cannot be opened or removed: {error.strerror}")


def _sweep_file(entry: os.DirEntry[str], descriptor: int, *, kept: bool) -> int:
    """Remove what is no file, or is not to be kept; return the bytes that it takes on disk."""
    status = entry.stat(follow_symlinks=False)
    if not (kept and stat.S_ISREG(status.st_mode)):
        os.unlink(entry.name, dir_fd=descriptor)
        return 0
    if status.st_mode & _READ_WRITE != _READ_WRITE:
        with contextlib.suppress(PermissionError):  # another user's, which may be readable all the same
            os.chmod(entry.name, _READ_WRITE, dir_fd=descriptor)
    return max(status.st_blocks * 512, _LEAST_ENTRY)


def _remove_folder(name: str, descriptor: int) -> None:
    """Remove a folder, however deep it is and whatever modes it holds: what is in it moves up to it, level by level."""
    names = [name]
    while names:
        with _opened(names[-1], descriptor) as inner:
            folder = names.pop()
            for entry in os.scandir(inner):
                if entry.is_dir(follow_symlinks=False):
                    with _opened(entry.name, inner):
                        names.append(secrets.token_hex(16))
                        os.rename(entry.name, names[-1], src_dir_fd=inner, dst_dir_fd=descriptor)
                else:
                    os.unlink(entry.name, dir_fd=inner)
        os.rmdir(folder, dir_fd=descriptor)


@contextlib.contextmanager
def _opened(name: str, descriptor: int) -> Iterator[int]:
    """Open a folder of another, of which its owner may have shut himself out."""
    if os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(name, stat.S_IRWXU, dir_fd=descriptor)
    inner = os.open(name, _FOLDER, dir_fd=descriptor)
    try:
        yield inner
    finally:
        os.close(inner)
