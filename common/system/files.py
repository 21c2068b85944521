"""Writes that are whole or absent, and digests of what lies on disk."""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

_PART = ".part"


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_bytes_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file that is either wholly there or not there at all, whatever dies in between.

    The bytes go to a temporary file beside `path`, are synced, and take the name in one rename; then the folder is
    synced, so that the name survives a power loss too.

    Parameters
    ----------
    path : Path
        Where the file shall be; its folder must exist.
    content : bytes
        What it shall hold.
    mode : int
        Its permission bits.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_PART)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
            os.fchmod(stream.fileno(), mode)
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)  # a full disk does not say where it is
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove_parts(folder: Path) -> None:
    """Remove what writers that were killed left of files in a folder that nobody writes to at this moment."""
    for part in folder.glob(f".*{_PART}"):
        part.unlink(missing_ok=True)


def all_but_newest(paths: Iterable[Path], count: int) -> list[Path]:
    """Return the paths that were changed before the `count` newest of them."""
    return sorted(paths, key=lambda each: each.stat().st_mtime, reverse=True)[count:]


def write_text_atomically(path: Path, text: str) -> None:
    """Write UTF-8 text as `write_bytes_atomically` does."""
    write_bytes_atomically(path, text.encode())


def write_json_atomically(path: Path, value: Any) -> None:
    """Write `value` as indented JSON; NaN and infinity are refused, since JSON has no words for them."""
    write_text_atomically(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def try_lock(stream: IO[Any], *, shared: bool = False) -> bool:
    """Take the lock of an open file, unless another process has it; it ends with the stream, or with the process.

    A shared lock only asks whether somebody has the exclusive one: any number of processes can have it at once.
    """
    try:
        fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
