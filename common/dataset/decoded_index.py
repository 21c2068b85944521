"""What was learnt when a file was decoded, kept so that nobody decodes a data set again that has not changed.

Each message to a hospital, and each process of a simulation, reads the same data set; decoding all of it takes minutes
with thousands of images. The index is an SQLite file in the cache folder, which is a hospital's `state/cache`. It knows
a file by its place and by size, inode and both times, of which the time of the last change cannot be set back by
ordinary means; it holds digests, errors and which images are grey, no pixels, and only its owner may read it. Without
it, or with a damaged one, everything is decoded.
"""

import contextlib
import hashlib
import inspect
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from common.dataset.image_source import FileSource, Verified
from common.imaging import colour
from common.imaging.decoder_version import decoder_digest
from common.imaging.errors import ImageError, UnreadableImageError, UnsupportedImageError
from common.system.folders import cache_folder

Seen = Verified | ImageError
"""What decoding a file told."""

# A file may change twice within one tick of its file system's clock.
_SETTLED_NANOSECONDS = 2_000_000_000
_MOST_FILES = 500_000
# Errors that the same bytes give again; others, such as too little memory, may pass.
_LASTING: dict[str, type[ImageError]] = {
    error.__name__: error for error in (UnreadableImageError, UnsupportedImageError)
}
_TABLE = """
create table if not exists decoded (
    path text primary key, state text, decoder text, sha256 text, several integer, grey integer, error text,
    reason text
)
"""
# Part of the file's name: another version's table would be found, and never fit.
_LAYOUT = hashlib.sha256(_TABLE.encode()).hexdigest()[:8]


def decoded_index() -> "DecodedIndex | None":
    """Return the index in the user's cache folder; None if `$RAREFED_NO_CACHE` is set."""
    return None if os.environ.get("RAREFED_NO_CACHE") else DecodedIndex(cache_folder() / f"decoded-{_LAYOUT}.sqlite")


class DecodedIndex:
    """What decoding files told, shared by all processes of the machine.

    Parameters
    ----------
    path : Path
        Of the SQLite file; made when the first file is remembered.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def look_up(self, sources: Sequence[FileSource]) -> list[Seen | None]:
        """Return what is known of each file as it is now; None where it must be decoded."""
        known: list[Seen | None] = [None] * len(sources)
        if not self._path.exists():
            return known
        with contextlib.suppress(sqlite3.Error, OSError), self._open() as database:
            for place, source in enumerate(sources):
                found = database.execute(
                    "select sha256, several, grey, error, reason from decoded "
                    "where path = ? and state = ? and decoder = ?",
                    (_place(source), file_state(source), _decoder(source)),
                ).fetchone()
                known[place] = _seen(source, *found) if found else None
        return known

    def remember(self, files: Sequence[tuple[FileSource, str, Seen]]) -> None:
        """Keep what decoding files told; each comes with its `file_state` of before it was read.

        A file that changed a moment ago, and an error that may pass, are not kept; a disk that is full or may not be
        written to is no error.
        """
        rows = [_row(source, state, seen) for source, state, seen in files if state and _lasts(seen)]
        if not rows:
            return
        with contextlib.suppress(sqlite3.Error, OSError):
            try:
                self._write(rows)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise  # locked, full or read-only, and not damaged
                self._path.unlink(missing_ok=True)
                self._write(rows)

    def _write(self, rows: Sequence[tuple[object, ...]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self._path.is_symlink():
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600))
        with self._open() as database, database:
            database.execute(_TABLE)
            database.executemany("insert or replace into decoded values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            # A replaced row gets a new number: the files that were decoded longest ago go first.
            database.execute("delete from decoded where rowid <= (select max(rowid) from decoded) - ?", (_MOST_FILES,))

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file as one that a hostile image may have written; `sqlite3.DatabaseError` if it is not as here."""
        if self._path.is_symlink():
            raise sqlite3.DatabaseError("a link: what it leads to is nobody's cache")
        database = sqlite3.connect(self._path, timeout=10)
        try:
            database.execute("pragma trusted_schema = off")
            # A journal would be one more file, whose name may be a link by now; and a cache that breaks is made anew.
            database.execute("pragma journal_mode = memory")
            for kind, text in database.execute("select type, sql from sqlite_master where sql is not null"):
                # A view, a trigger or a computed column may be a loop without end.
                if kind != "table" or _columns(text) != _columns(_TABLE):
                    raise sqlite3.DatabaseError("holds what nobody here wrote")
            yield database
        finally:
            database.close()


def file_state(source: FileSource) -> str:
    """Return what changes when a file does; "" where the file changed so recently that it may change again unseen."""
    try:
        status = source.path.stat()
    except OSError:
        return ""
    # Not st_mtime, which a scanner's clock or a copy may have put into the future; no change leaves st_ctime as it was.
    if time.time_ns() - status.st_ctime_ns < _SETTLED_NANOSECONDS:
        return ""
    return f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _columns(statement: str) -> str:
    return statement.partition("(")[2].strip()


def _place(source: FileSource) -> str:
    return os.fsencode(source.path.absolute()).decode("utf-8", "backslashreplace")


def _decoder(source: FileSource) -> str:
    return f"{decoder_digest()} {_colour_digest()} {source.limits}"


@cache
def _colour_digest() -> str:
    """Return a digest that changes with whatever may change which images are grey."""
    return hashlib.sha256(inspect.getsource(colour).encode()).hexdigest()[:16]


def _row(source: FileSource, state: str, seen: Seen) -> tuple[object, ...]:
    key = (_place(source), state, _decoder(source))
    if isinstance(seen, ImageError):
        return (*key, None, 0, 0, type(seen).__name__, seen.reason)
    return (*key, seen.sha256, int(seen.several_frames), int(seen.grey), None, None)


def _seen(
    source: FileSource, sha256: str | None, several: int, grey: int, error: str | None, reason: str
) -> Seen | None:
    if sha256 is not None:
        return Verified(sha256, bool(several), grey=bool(grey))
    return _LASTING[error](source.name, reason) if error in _LASTING else None


def _lasts(seen: Seen) -> bool:
    return isinstance(seen, Verified) or type(seen).__name__ in _LASTING
