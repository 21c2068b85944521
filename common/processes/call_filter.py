"""A seccomp filter: which system calls a confined process may not make, for good, as documented in `seccomp(2)`.

Landlock bounds which files are read and written. Left to it would be every other way out: sockets, other processes of
the same user, what belongs to a file beside its content, what stays when the process has ended; and on kernels whose
Landlock is older, signals, and files that are cut to nothing.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_SET_SECCOMP, _FILTER = 22, 2
_MACHINES = ("x86_64", "aarch64")
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
"""From here on, x86's numbers lead to the same calls once more."""

_Numbers = tuple[int | None, int | None]

_REFUSED: dict[str, _Numbers] = {
    # Sockets, also the two ends of one, of which either reaches any other by its path.
    "socket": (41, 198),
    "socketpair": (53, 199),
    "io_uring_setup": (425, 425),
    # Processes: to start one, which would outlive this one, and to reach into others, or to slow them down.
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "sched_setaffinity": (203, 122),
    # The kernel's own machinery.
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "mount": (165, 40),
    "unshare": (272, 97),
    "setns": (308, 268),
    # Memory that no limit counts, or that stays; and that of others, whose numbers can be guessed.
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "memfd_create": (319, 279),
    # Mode, owner, attributes and times of a file take no right to its content; nor does `truncate` before Landlock 3.
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "truncate": (76, 45),
    # Files without a path, also those outside of a container, to whoever may read all of a disk.
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # What a folder holds beside files and folders: a pipe in a cache would hold up whoever reads it next, and a link
    # lead him elsewhere.
    "mknod": (133, None),
    "mknodat": (259, 33),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "link": (86, None),
    "linkat": (265, 37),
}
"""Calls by name, with their numbers on each of `_MACHINES`."""

# Said to be missing: no filter can see what they ask for, which stands in memory. Libraries then take the older ones.
_MISSING: dict[str, _Numbers] = {"clone3": (435, 435), "openat2": (437, 437)}

_CLONE: _Numbers = (56, 220)
_PRCTL: _Numbers = (157, 167)
_FCNTL: _Numbers = (72, 25)
_KILL: _Numbers = (62, 129)
_TGKILL: _Numbers = (234, 131)
_PRLIMIT: _Numbers = (302, 261)
_IOCTL: _Numbers = (16, 29)
_OPEN: _Numbers = (2, None)
_OPENAT: _Numbers = (257, 56)
# CLONE_THREAD: else what is made is a process.
_THREAD = 0x00010000
# PR_SET_PDEATHSIG and PR_SET_DUMPABLE: it ends with its guard, and shows its memory to nobody.
_FORBIDDEN_OPTIONS = (1, 4)
# F_SETOWN, F_SETSIG and F_SETOWN_EX: signals to others.
_FORBIDDEN_COMMANDS = (8, 10, 15)
# FIOSETOWN, SIOCSPGRP and FIOASYNC: the same by another door. FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR and
# FS_IOC_ENABLE_VERITY: attributes of a file, to whom it belongs.
_FORBIDDEN_REQUESTS = (0x8901, 0x8902, 0x5452, 0x40086602, 0x401C5820, 0x40806685)
_TRUNCATING, _WRITING = os.O_TRUNC, 0b11


class _Step(NamedTuple):
    """One step of a Berkeley packet filter: an operation, how many steps to skip if it holds and if not, a number."""

    operation: int
    skip_if: int
    skip_unless: int
    value: int


_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _ANSWER = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE_OF_CALL = 0, 4
_EPERM = _Step(_ANSWER, 0, 0, _REFUSE | errno.EPERM)
_ENOSYS = _Step(_ANSWER, 0, 0, _REFUSE | errno.ENOSYS)
_ALLOWED = _Step(_ANSWER, 0, 0, _ALLOW)


def forbid_calls() -> str | None:
    """Forbid this process, for good, the calls above; return what this machine has not."""
    machine = platform.machine()
    if machine not in _MACHINES or sys.platform != "linux":
        return f"no list of system calls of {machine}"
    program = [*_program(machine)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    header = ctypes.create_string_buffer(struct.pack("H6xP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(header), 0, 0):
        return f"seccomp: {os.strerror(ctypes.get_errno())}"
    return None


def _program(machine: str) -> Iterator[_Step]:
    which, own = _MACHINES.index(machine), os.getpid()
    # A processor has other doors to the same kernel, with other numbers: 32-bit calls of x86 and those of x32.
    yield _Step(_LOAD, 0, 0, _ARCHITECTURE_OF_CALL)
    yield from (_Step(_EQUAL, 1, 0, _ARCHITECTURE[machine]), _EPERM)
    yield _Step(_LOAD, 0, 0, _NUMBER)
    yield from (_Step(_AT_LEAST, 0, 1, _X32), _EPERM)
    for calls, answer in ((_REFUSED, _EPERM), (_MISSING, _ENOSYS)):
        for numbers in calls.values():
            yield from _if_called(numbers[which], [answer])
    conditions: tuple[tuple[_Numbers, int, list[_Step]], ...] = (
        (_CLONE, 0, [_Step(_ANY_BIT, 1, 0, _THREAD), _EPERM]),
        (_PRCTL, 0, _unless(_FORBIDDEN_OPTIONS)),
        (_FCNTL, 1, _unless(_FORBIDDEN_COMMANDS)),
        # Signals to itself: a library that aborts. Limits of its own: what an interpreter asks for.
        (_KILL, 0, [_Step(_EQUAL, 1, 0, own), _EPERM]),
        (_TGKILL, 0, [_Step(_EQUAL, 1, 0, own), _EPERM]),
        (_PRLIMIT, 0, [_Step(_EQUAL, 1, 0, 0), _EPERM]),
        (_IOCTL, 1, _unless(_FORBIDDEN_REQUESTS)),
        # Before Landlock 3, whoever may read a file may cut it so.
        (_OPEN, 1, [_Step(_ANY_BIT, 0, 2, _TRUNCATING), _Step(_ANY_BIT, 1, 0, _WRITING), _EPERM]),
        (_OPENAT, 2, [_Step(_ANY_BIT, 0, 2, _TRUNCATING), _Step(_ANY_BIT, 1, 0, _WRITING), _EPERM]),
    )
    for numbers, argument, steps in conditions:
        # Of an argument the lower half, which is all that these calls read.
        yield from _if_called(numbers[which], [_Step(_LOAD, 0, 0, 16 + 8 * argument), *steps, _ALLOWED])
    yield _ALLOWED


def _if_called(number: int | None, steps: list[_Step]) -> Iterator[_Step]:
    if number is not None:
        yield _Step(_EQUAL, 0, len(steps), number)
        yield from steps


def _unless(values: tuple[int, ...]) -> list[_Step]:
    """Return steps that refuse any of some values, and go on behind for others."""
    return [step for value in values for step in (_Step(_EQUAL, 0, 1, value), _EPERM)]
