"""Leaves root, for good: for a user that nothing else belongs to, without any of root's powers but to read.

As documented in `capabilities(7)` and `prctl(2)`.
"""

import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from common.processes.parent_death import die_with_parent

# Debian, Red Hat and systemd give this number to nobody.
_USER = 65529
_CHOWN, _READ_ALL, _KILL, _SET_GROUP, _SET_USER = 0, 2, 5, 6, 7
_KEEP_CAPABILITIES, _DROP_FROM_BOUNDS, _LAST_CAPABILITY = 8, 24, 63
_CAPABILITIES_VERSION = 0x20080522
# CAP_DAC_READ_SEARCH: root may keep images for another user, or for itself alone.
_KEPT = 1 << _READ_ALL


def other_user() -> int | None:
    """Return the user that a process of root's may become; None where this one is not root's, or must stay.

    Some containers leave root too little for it: to read root's own files as another user, to kill that user's
    processes, or to become one.
    """
    if sys.platform != "linux" or os.geteuid():
        return None
    held = _held()
    may = all(held >> power & 1 for power in (_CHOWN, _READ_ALL, _KILL, _SET_GROUP, _SET_USER))
    return _USER if may and all(_is_known(Path("/proc/self") / which) for which in ("uid_map", "gid_map")) else None


def give(folder: Path, user: int) -> None:
    """Make a folder and all that is in it a user's; needs root's powers.

    The owner of what is in it may be hostile: no link in it is followed, and nothing is given away that has a second
    name, which may be that of a file elsewhere. The folder itself is root's to choose, and may be a link.
    """
    for _, folders, files, descriptor in os.fwalk(folder.resolve(), follow_symlinks=False):
        for name in (*folders, *files):
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if status.st_uid != user and (stat.S_ISDIR(status.st_mode) or status.st_nlink == 1):
                os.chown(name, user, user, dir_fd=descriptor, follow_symlinks=False)
        if os.fstat(descriptor).st_uid != user:
            os.fchown(descriptor, user, user)


def leave_root(user: int | None, devices: Iterable[Path]) -> str | None:
    """Become another user, and lose root's powers in any case, also in what is started; others lose nothing.

    Parameters
    ----------
    user : int or None
        From `other_user`; None: the process stays whose it is.
    devices : iterable of Path
        Whose groups it stays in.

    Returns
    -------
    str or None
        What went wrong.
    """
    for number in range(_LAST_CAPABILITY + 1):
        if not _KEPT >> number & 1:
            _libc.prctl(_DROP_FROM_BOUNDS, number, 0, 0, 0)  # fails without power over them, and if there is no such
    problems: list[str] = []
    try:
        if user is not None:
            _become(user, devices)
    except OSError as error:
        problems.append(str(error.strerror))
    try:  # whatever became of that
        _keep_reading()
    except OSError as error:
        problems.append(str(error.strerror))
    return f"root's powers: {', '.join(problems)}" if problems else None


def _become(user: int, devices: Iterable[Path]) -> None:
    parent = os.getppid()
    # Root's own group opens more than devices.
    groups = {device.stat().st_gid for device in devices if device.exists()} - {0}
    _libc.prctl(_KEEP_CAPABILITIES, 1, 0, 0, 0)
    os.setgroups(sorted(groups))
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    die_with_parent()  # the kernel forgets it with the user
    if os.getppid() != parent:
        os._exit(1)


def _keep_reading() -> None:
    """Give up all powers of this process but to read, which it keeps if it has it."""
    kept = _held() & _KEPT
    if _libc.capset(_header(), struct.pack("6I", kept, kept, 0, 0, 0, 0)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _held() -> int:
    """Return the set of powers that this process may use."""
    held = ctypes.create_string_buffer(24)
    if _libc.capget(_header(), held):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    # Effective, permitted and inheritable; numbers of 32 and more follow in the same order.
    return int(struct.unpack("6I", held.raw)[1])


def _header() -> bytes:
    return struct.pack("Ii", _CAPABILITIES_VERSION, 0)


def _is_known(mapping: Path) -> bool:
    """Return whether this process's namespace has the user, or group, of that number."""
    ranges = [[int(number) for number in line.split()] for line in mapping.read_text().splitlines()]
    return any(first <= _USER < first + count for first, _, count in ranges)


_libc = ctypes.CDLL(None, use_errno=True)
