"""Atomic writes, published folders, file locks, and digests of files."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

_PART = ".part"
_LOCK_POLL_SECONDS = 0.1
# Whoever asks whether a lock is held holds it for a moment.
_LOCK_SECONDS = 1.0
_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_sha256(value: object) -> bool:
    """Say whether a value is a SHA-256 as 64 hexadecimal digits."""
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_bytes_atomically(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file so that it is complete or absent, whatever dies in between.

    The bytes go to a temporary file beside `path`, are synced, and take the name in one rename; then the folder is
    synced, so that the name survives a power loss too.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    content : bytes
        Its bytes.
    mode : int
        Its permission bits, from the first moment; the process's umask takes its own away, as from any new file.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_PART}")
    try:
        # The kernel applies the umask; to read it, a process would have to change it for all of its threads.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # a full disk does not say where it is
        raise
    _sync(path.parent)


def publish_folder(folder: Path, final: Path) -> Path:
    """Give a folder its final name when everything in it is complete, and return that name.

    Its content is synced before the rename, and the name after it: whatever dies in between, a folder of that name is
    complete.

    Raises
    ------
    OSError
        If there is something of that name already, or the disk is full.
    """
    for path in (*folder.rglob("*"), folder):
        if not path.is_symlink():
            _sync(path)
    published = folder.rename(final)
    _sync(final.parent)
    return published


class Relinking:
    """Has a symbolic link name a target, in one rename: at any moment it names the old one or the new one.

    Parameters
    ----------
    link : Path
        The link; absent, or a link.
    target : str
        What it shall name from `finish` on; need not exist yet.

    Raises
    ------
    OSError
        If something else than a link has its name, or the disk has no links.
    """

    def __init__(self, link: Path, target: str) -> None:
        if link.exists() and not link.is_symlink():
            raise FileExistsError(errno.EEXIST, f"is a {'folder' if link.is_dir() else 'file'}, not a link", str(link))
        self._link = link
        self._temporary = link.with_name(f".{link.name}.{os.getpid()}")
        self._temporary.unlink(missing_ok=True)
        self._temporary.symlink_to(target)

    def finish(self) -> None:
        """Have the link name the target."""
        self._temporary.replace(self._link)


def _sync(path: Path) -> None:
    """Flush a file or a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def drop_torn_line(path: Path) -> None:
    """Cut off what follows the last newline of a file: a line that a killed writer or a full disk left unfinished."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def remove_parts(folder: Path) -> None:
    """Remove the temporary files that killed writers left in a folder; nobody may be writing to it."""
    for part in folder.glob(f".*{_PART}"):
        part.unlink(missing_ok=True)


def all_but_newest(paths: Iterable[Path], count: int) -> list[Path]:
    """Return all paths but the `count` that were changed last; one that is gone by now is left out."""
    changed = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            changed.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(changed, reverse=True)[count:]]


def write_text_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text as `write_bytes_atomically` does."""
    write_bytes_atomically(path, text.encode())


def write_json_atomically(path: Path, value: Any) -> None:
    """Write `value` as indented JSON; NaN and infinity, which JSON cannot express, are a `ValueError`."""
    write_text_atomically(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def try_lock(stream: IO[Any], *, shared: bool = False, seconds: float = 0.0) -> bool:
    """Take the lock of an open file unless another process holds it; it is released with the stream or the process.

    A shared lock can be held by any number of processes at once, but not beside the exclusive one. It is tried for some
    seconds, since whoever asks whether it is held holds it for a moment.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOCK_POLL_SECONDS)
        else:
            return True


def hold_lock(path: Path) -> IO[str] | None:
    """Take the lock of a file, made if absent; return the stream that keeps it, None if another process has it.

    Only this user may open the file: whoever may open it may hold its lock.
    """
    stream = path.open("a")
    try:
        os.fchmod(stream.fileno(), 0o600)
        if try_lock(stream, seconds=_LOCK_SECONDS):
            return stream
    except BaseException:
        stream.close()
        raise
    stream.close()
    return None


def is_locked(path: Path) -> bool:
    """Say whether a process holds the lock of a file."""
    if not path.exists():
        return False
    with path.open() as stream:
        return not try_lock(stream, shared=True)
