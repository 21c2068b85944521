"""Says why a file that somebody named cannot be read, and how to mend it."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from common.system.users import user_name


def explain_unreadable(path: Path, error: OSError) -> str:
    """Return one line for a file that cannot be read: which, why, and what to do.

    Parameters
    ----------
    path : Path
        As it was named.
    error : OSError
        What came of reading it.
    """
    mend = _MENDING.get(error.errno or 0)
    return f"{path}: {error.strerror}{mend(path) if mend else ''}"


def _missing(path: Path) -> str:
    if path.is_symlink():
        return f"; it is a link to {path.readlink()}: mend the link, or name the file itself"
    if not os.path.isdir(path.parent):  # noqa: PTH112 - Path.is_dir raises where a folder is closed
        return f"; there is no folder {path.parent}: check the name"
    if not path.is_absolute():
        return f"; looked for in {Path.cwd()}: check the name, or change to the file's folder"
    return ": check the name, or put the file there"


def _below_a_file(path: Path) -> str:
    files = [above for above in path.parents if above.is_file()]
    return f"; {files[0]} is a file: check the name" if files else ": check the name"


_MENDING: dict[int, Callable[[Path], str]] = {
    errno.ENOENT: _missing,
    errno.ENOTDIR: _below_a_file,
    errno.EISDIR: lambda path: ": name the file in it",
    errno.EACCES: lambda path: f" to {user_name()}: run this as another user, or change the file's owner or mode",
}
