"""Confines the process that decodes images: a hostile image may take it over, and then finds nothing worth having.

Linux's Landlock (kernel 5.13 or newer) takes away files, a seccomp filter the other ways out (`call_filter`). Where the
process is root's, it becomes another user's, and keeps none of root's powers but to read (`root`). All of it holds for
good. There is no well-kept library that brings no compiled code; so the few calls are made here, as documented in
`landlock(7)`.
"""

import contextlib
import ctypes
import os
import resource
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from common.processes.call_filter import forbid_calls
from common.processes.root import leave_root

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_NO_NEW_PRIVILEGES, _SET_DUMPABLE = 38, 4
_DEVICES = Path("/dev")
_USED_DEVICES = ("null", "zero", "full", "random", "urandom", "nvidia*", "dri", "dri/*", "kfd")

# Rights of files and folders, by the version of Landlock that knows them.
_READ = 0b1101  # execute, read a file, read a folder
_ALL = (1 << 13) - 1
_SPECIAL = 0b1111001000000  # make devices, sockets, pipes and links
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_OF_FILES = 0b111 | _TRUNCATE  # those that make sense for what is no folder
_TCP = 0b11  # bind, connect
_SCOPES = 0b11  # abstract sockets, signals


class Confinement(NamedTuple):
    """What a confined process may use of the files.

    Attributes
    ----------
    hidden : Path
        The folder of which nothing may be read, except what the others name.
    writable : tuple of Path
        Folders that alone may be written to, beside some devices.
    readable : tuple of Path
        Files and folders below `hidden` that may be read.
    user : int or None
        Whose the process becomes, from `root.other_user`, and whose `writable` is; None: it stays whose it is.
    """

    hidden: Path
    writable: tuple[Path, ...]
    readable: tuple[Path, ...]
    user: int | None = None


def landlock_version() -> int:
    """Return the version of this kernel's Landlock; 0 where there is none."""
    return max(0, _syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG))


def confine(files: Confinement, kept: Sequence[int]) -> str | None:
    """Confine this process, for good.

    Parameters
    ----------
    files : Confinement
    kept : sequence of int
        File descriptors that stay open, beside the standard ones.

    Returns
    -------
    str or None
        What this machine has not: then that part, and no other, is missing.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _close_all_but(kept)
    # Nobody can list them afterwards.
    devices = _used_devices()
    missing = [_restrict_files(files, devices), leave_root(files.user, devices)]
    _libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    missing.append(forbid_calls())
    return "; ".join(what for what in missing if what) or None


def _restrict_files(files: Confinement, devices: Sequence[Path]) -> str | None:
    version = landlock_version()
    if not version:
        return "this kernel has no Landlock (5.13 or newer, and not switched off)"
    rights = _ALL | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    parts = [rights, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0]
    attributes = struct.pack("QQQ", *parts)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = _syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return f"Landlock: {os.strerror(ctypes.get_errno())}"
    try:
        # Devices by name: a terminal would be typed into, and root's disks hold all that is hidden here.
        beside = (path for path in _beside(files.hidden.resolve()) if path != _DEVICES)
        for path in (*beside, *files.readable):
            _allow(ruleset, path, _READ)
        for path in (*files.writable, *devices):
            _allow(ruleset, path, rights & ~_SPECIAL)
        if _syscall(_RESTRICT_SELF, ruleset, 0):
            return f"Landlock: {os.strerror(ctypes.get_errno())}"
    finally:
        os.close(ruleset)
    return None


def _beside(hidden: Path) -> Iterator[Path]:
    """Yield all that lies beside a folder, and beside each of the folders that it is in.

    Without links, one of which may lead back to such a folder: where they lead to is yielded for itself.
    """
    while hidden != hidden.parent:
        with contextlib.suppress(OSError):
            yield from (path for path in hidden.parent.iterdir() if path != hidden and not path.is_symlink())
        hidden = hidden.parent


def _allow(ruleset: int, path: Path, rights: int) -> None:
    """Allow rights below a path; what cannot be opened could not be used anyway."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not path.is_dir():
                rights &= _OF_FILES
            _syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0)
        finally:
            os.close(descriptor)


def _used_devices() -> list[Path]:
    return [path for pattern in _USED_DEVICES for path in _DEVICES.glob(pattern)]


def _close_all_but(kept: Sequence[int]) -> None:
    opened = Path("/proc/self/fd")
    for number in [int(each.name) for each in opened.iterdir()] if opened.exists() else []:
        if number > 2 and number not in kept:
            with contextlib.suppress(OSError):
                os.close(number)


def _syscall(number: int, *arguments: object) -> int:
    if sys.platform != "linux":
        return -1
    return int(_libc.syscall(ctypes.c_long(number), *(_argument(each) for each in arguments)))


def _argument(value: object) -> object:
    return ctypes.c_long(value) if isinstance(value, int) else value


_libc = ctypes.CDLL(None, use_errno=True)
