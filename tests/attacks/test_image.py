"""A hostile image: it runs code of its own in the process that decodes it, and looks for what is worth having."""

import ctypes
import fcntl
import json
import mmap
import os
import platform
import resource
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from client.rules.hospital_file import LimitsSection
from client.rules.policy import HospitalFailure
from client.runner import training_process
from client.runner.confined import start_confined
from client.runner.training_process import do_job
from common.processes import confinement
from common.processes.confinement import Confinement, landlock_version
from common.processes.fork_server import ForkServer
from common.processes.root import give, other_user
from common.protocol.refusals import Failure
from tests.client.hospital import write_hospital
from tests.client.runner import closures

pytestmark = pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    state = tmp_path / "hospital" / "state"
    (state / "cache").mkdir(parents=True)
    for name in ("node.key", "audit.jsonl", "split.salt", "runner.secret"):
        (state / name).write_text("secret")
    (state.parent / "hospital.yaml").write_text("strict")
    return state


def attempt(action: Callable[[], object]) -> str:
    try:
        return f"done: {action()!r:.80}"
    except OSError as error:
        return type(error).__name__


def run(state: Path, actions: dict[str, Callable[[], object]], **limits: Any) -> dict[str, str]:
    """Have a training process try what hostile code would."""
    user = other_user()
    if user is not None:
        give(state / "cache", user)
    files = Confinement(state, (state / "cache",), (state / "split.salt",), user)

    def hostile(_: bytes) -> bytes:
        return json.dumps({name: attempt(action) for name, action in actions.items()}).encode()

    return dict(json.loads(closures.answer(hostile, b"", LimitsSection.model_validate(limits), files)))


def test_hostile_code_finds_neither_key_nor_log_nor_socket(state: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address, inherited = listening.getsockname(), listening.fileno()
        told = run(
            state,
            {
                "key": (state / "node.key").read_text,
                "log": (state / "audit.jsonl").read_text,
                "secret": (state / "runner.secret").read_text,
                "list": lambda: list(state.iterdir()),
                "change the log": lambda: (state / "audit.jsonl").write_text(""),
                "write beside it": lambda: (state.parent / "hospital.yaml").write_text(""),
                "link": lambda: os.link(state / "node.key", state / "cache" / "key"),
                "rename": lambda: (state / "node.key").rename(state / "cache" / "key"),
                "tcp": lambda: socket.create_connection(address, 5),
                "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
                "unix": lambda: socket.socket(socket.AF_UNIX),
                "inherited": lambda: os.fstat(inherited),
                "memory of the parent": Path(f"/proc/{os.getpid()}/mem").read_bytes,
                "kill": lambda: os.kill(os.getppid(), 0),
                "mode": lambda: (state / "node.key").chmod(0o666),
                "mode of the folder": lambda: state.chmod(0o777),
                "times": lambda: os.utime(state / "audit.jsonl", (0, 0)),
                "owner": lambda: os.chown(state / "node.key", os.getuid(), os.getgid()),
                "attribute": lambda: os.setxattr(state / "node.key", "user.a", b"1"),
                "terminal": lambda: os.open("/dev/tty", os.O_RDWR),
                "shared memory": lambda: Path("/dev/shm/rarefed").write_text("1"),
                "devices": lambda: list(Path("/dev").iterdir()),
            },
        )
    assert {name: what for name, what in told.items() if what.startswith("done")} == {}
    assert (state / "node.key").read_text() == "secret"


def call(number: int, *arguments: int) -> None:
    """Call the kernel by number, as code without a library does."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(*map(ctypes.c_long, (number, *arguments))) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def call_of_32_bits(number: int) -> None:
    """Call the kernel through x86's older door: ``mov eax, number; int 0x80; ret``."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(b"\xb8" + number.to_bytes(4, "little") + b"\xcd\x80\xc3")
    answer = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    if answer < 0:
        raise OSError(-answer, os.strerror(-answer))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86")
@pytest.mark.parametrize("flag", [0x10000000, 0x20000000, 0x40000000], ids=["user", "processes", "network"])
def test_no_namespace_makes_it_root(state: Path, flag: int) -> None:
    ways = {
        "clone": lambda: call(56, flag | signal.SIGCHLD, 0, 0, 0, 0),
        "clone3": lambda: call(435, 0, 0),
        "thread": lambda: call(56, flag | 0x10000 | 0x800 | 0x100, 0, 0, 0, 0),  # also CLONE_SIGHAND and CLONE_VM
    }
    told = run(state, ways)
    assert (told["clone"], told["clone3"]) == ("PermissionError", "OSError")
    assert not told["thread"].startswith("done")


def test_nothing_that_it_starts_outlives_it(state: Path) -> None:
    told = run(
        state,
        {
            "fork": os.fork,
            "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
            "command": lambda: subprocess.run(["true"], check=False),
            "exec": lambda: os.execv("/bin/true", ["true"]),
            "thread": lambda: threading.Thread(target=print).start(),
        },
    )
    assert told.pop("thread").startswith("done")
    assert set(told.values()) == {"PermissionError"}


@pytest.mark.parametrize("version", [1, 2, 3, 5, landlock_version()])
def test_on_older_kernels_too_no_file_is_cut_and_nobody_is_signalled(
    state: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    monkeypatch.setattr(confinement, "landlock_version", lambda: version)
    with subprocess.Popen(["sleep", "60"]) as other:
        told = run(
            state,
            {
                "truncate": lambda: os.truncate(state / "audit.jsonl", 0),
                "open": lambda: call(2, address_of(state.parent / "hospital.yaml"), os.O_RDONLY | os.O_TRUNC, 0),
                "openat": lambda: os.open(state.parent / "hospital.yaml", os.O_RDONLY | os.O_TRUNC),
                "signal": lambda: os.kill(other.pid, signal.SIGKILL),
                "signal to all": lambda: os.kill(-1, signal.SIGUSR1),
                "signal to a group": lambda: os.killpg(os.getpgid(other.pid), signal.SIGCONT),
                "thread signal": lambda: call(234, other.pid, other.pid, signal.SIGKILL),
                "owner of a pipe": lambda: fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, other.pid),
                "owner of a socket": lambda: fcntl.ioctl(its_socket(), 0x8901, struct.pack("i", other.pid)),
                "group of a socket": lambda: fcntl.ioctl(its_socket(), 0x8902, struct.pack("i", other.pid)),
                "which signal": lambda: fcntl.fcntl(its_socket(), 10, signal.SIGKILL),
                "wake it": lambda: fcntl.ioctl(its_socket(), 0x5452, struct.pack("i", 1)),
                "limits": lambda: resource.prlimit(other.pid, resource.RLIMIT_CPU, (1, 1)),
                "files": lambda: resource.prlimit(other.pid, resource.RLIMIT_NOFILE, (0, 0)),
                "cores": lambda: os.sched_setaffinity(other.pid, {0}),
                "priority": lambda: os.setpriority(os.PRIO_PROCESS, other.pid, 19),
                "scheduler": lambda: os.sched_setscheduler(other.pid, os.SCHED_IDLE, os.sched_param(0)),
            },
        )
        assert other.poll() is None
        other.kill()
    assert {name: what for name, what in told.items() if what.startswith("done")} == {}
    assert ((state / "audit.jsonl").read_text(), (state.parent / "hospital.yaml").read_text()) == ("secret", "strict")


def its_socket() -> int:
    """Return the one socket that the process has: its pipe to whoever asked."""
    return next(int(each.name) for each in Path("/proc/self/fd").iterdir() if each.is_socket())


def address_of(text: Path | str) -> int:
    buffer = ctypes.create_string_buffer(str(text).encode())
    _kept.append(buffer)
    return ctypes.addressof(buffer)


_kept: list[object] = []


@pytest.mark.parametrize("version", [0, landlock_version()], ids=["without Landlock", "with it"])
def test_it_leaves_nothing_but_files_and_folders(state: Path, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    monkeypatch.setattr(confinement, "landlock_version", lambda: version)
    cache, image = state / "cache", state.parent.parent / "image"
    image.write_bytes(b"image")
    told = run(
        state,
        {
            "pipe": lambda: os.mkfifo(cache / "decoded-01234567.sqlite-journal"),
            "device": lambda: os.mknod(cache / "device"),
            "link": lambda: (cache / "link").symlink_to(image),
            "second name": lambda: (cache / "name").hardlink_to(image),
            "handle": lambda: call(303, -100, address_of(image), address_of(" " * 200), address_of(" " * 8), 0),
            "open by handle": lambda: call(304, -100, address_of(" " * 200), os.O_RDONLY),
            "attributes": lambda: fcntl.ioctl(os.open(image, os.O_RDONLY), 0x40086602, struct.pack("l", 0x40)),
            "disk": lambda: os.ftruncate(os.open(cache / "ballast", os.O_CREAT | os.O_WRONLY), 2**31),
            "cores": lambda: os.sched_setaffinity(0, range(os.cpu_count() or 1)),
        },
        cpus=1,
    )
    assert told.pop("disk") == "OSError"
    assert set(told.values()) == {"PermissionError"}
    assert sum(path.stat().st_size for path in cache.iterdir()) == 0


def test_no_socket_and_nothing_that_stays_in_memory(state: Path) -> None:
    told = run(
        state,
        {
            "two ends": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
            "memory file": lambda: os.memfd_create("images"),
            "shared memory": lambda: call(29, 0, 4096, 0o1600),
            "message queue": lambda: call(68, 0, 0o1600),
            "another's name": lambda: call(241, address_of("/images")),
            "another's memory": lambda: call(30, 0, 0, 0),
            "another's queue": lambda: call(69, 0, address_of("x" * 16), 8, 0o4000),
            "another's semaphores": lambda: call(65, 0, address_of("x" * 16), 1),
        },
    )
    assert set(told.values()) == {"PermissionError"}


def test_it_cannot_have_itself_spared_when_its_guard_dies(state: Path) -> None:
    set_parent_death_signal, set_dumpable, set_name = 1, 4, 15
    told = run(
        state,
        {
            "outlive": lambda: call(157, set_parent_death_signal, 0),
            "show its memory": lambda: call(157, set_dumpable, 1),
            "name": lambda: call(157, set_name, address_of("worker")),
        },
    )
    assert told == {"outlive": "PermissionError", "show its memory": "PermissionError", "name": "done: None"}


def test_it_has_no_terminal_and_no_log(state: Path) -> None:
    told = run(
        state,
        {
            "session": lambda: os.getsid(0) == os.getpid(),
            "streams": lambda: {str(Path(f"/proc/self/fd/{number}").readlink()) for number in range(3)},
        },
    )
    assert told == {"session": "done: True", "streams": "done: {'/dev/null'}"}


def test_words_of_a_failure_are_one_line_without_control_characters() -> None:
    def fails(_: bytes) -> bytes:
        raise ValueError("\x1b]52;c;\x07\nnorth: online" + "x" * 10**6)

    with pytest.raises(HospitalFailure) as failure:
        closures.answer(fails, b"", LimitsSection())
    assert str(failure.value).startswith("ValueError: \\x1b]52;c;\\x07\\nnorth: onlinexx")
    assert len(str(failure.value)) < 10_000


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86 has other doors to the kernel")
def test_no_other_door_leads_to_the_kernel(state: Path) -> None:
    told = run(state, {"x32": lambda: call(0x40000029, 2, 1, 0), "32 bits": lambda: call_of_32_bits(20)})
    assert told == {"x32": "PermissionError", "32 bits": "PermissionError"}


@pytest.mark.skipif(other_user() is None, reason="only root has powers to lose")
def test_without_landlock_too_root_s_process_writes_nothing_of_root_s(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "landlock_version", lambda: 0)
    told = run(
        state,
        {
            "user": os.getresuid,
            "cache": lambda: (state / "cache" / "activations").write_bytes(b"1"),
            "change": lambda: (state / "audit.jsonl").write_text(""),
            "make": lambda: (state.parent / "new").write_text(""),
            "remove": (state / "node.key").unlink,
            "move": lambda: (state / "node.key").rename(state / "cache" / "key"),
        },
    )
    assert (told.pop("user"), told.pop("cache")) == (f"done: {(other_user(),) * 3}", "done: 1")
    assert set(told.values()) == {"PermissionError"}


@pytest.mark.skipif(other_user() is None, reason="only root has powers to lose")
def test_before_enrolment_too_the_process_is_another_user_s(tmp_path: Path) -> None:
    hospital = write_hospital(tmp_path, tmp_path)
    hospital.state.rmdir()
    forks = ForkServer(do_job)
    with closing(forks), start_confined(forks, hospital, hospital.state, tell_user) as process:
        assert process.answer(b"", 60) == str(other_user()).encode()


def tell_user(_: bytes) -> bytes:
    return str(os.geteuid()).encode()


@pytest.mark.skipif(other_user() is None, reason="only root has powers to lose")
def test_root_s_powers_are_gone_but_to_read(state: Path) -> None:
    cache, others = state / "cache", state.parent.parent / "others"
    others.write_bytes(b"image")
    others.chmod(0o600)
    os.chown(others, 65534, 65534)
    told = run(
        state,
        {
            "read another's image": others.read_bytes,
            "capabilities": lambda: [
                line.split()[1]
                for line in Path("/proc/thread-self/status").read_text().splitlines()
                if line.startswith(("CapPrm", "CapEff", "CapInh", "CapAmb"))
            ],
            "own": lambda: os.chown(cache, 65534, 65534),
            "other user": lambda: os.setuid(65534),
            "other root": lambda: os.chroot(cache),
            "clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
            "priority": lambda: os.nice(-5),
        },
    )
    assert told.pop("read another's image") == "done: b'image'"
    assert told.pop("capabilities") == f"done: {['0' * 16, f'{4:016x}', f'{4:016x}', '0' * 16]!r}"
    assert set(told.values()) == {"PermissionError"}


def test_what_a_training_needs_is_there(state: Path) -> None:
    image = state.parent.parent / "image.png"
    image.write_bytes(b"image")
    told = run(
        state,
        {
            "image": image.read_bytes,
            "salt": (state / "split.salt").read_text,
            "cache": lambda: (state / "cache" / "activations").write_bytes(b"1"),
            "torch": lambda: torch.ones(200, 200).mm(torch.ones(200, 200)).sum().item(),
            "no core": lambda: resource.getrlimit(resource.RLIMIT_CORE),
        },
    )
    assert all(what.startswith("done") for what in told.values()), told
    assert told["no core"] == "done: (0, 0)"


def test_a_hospital_may_insist_on_the_sandbox(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_process, "confine", lambda files, kept: "this kernel has no Landlock")
    assert run(state, {"key": (state / "node.key").read_text})["key"] == "done: 'secret'"
    with pytest.raises(HospitalFailure, match=r"limits\.sandbox = require, and this kernel has no Landlock") as refused:
        run(state, {"key": (state / "node.key").read_text}, sandbox="require")
    assert refused.value.kind == Failure.STATE
