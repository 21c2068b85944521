"""Finds the file that a cell of a manifest names, also where its name is written a little differently."""

import os
import posixpath
import unicodedata
from collections import defaultdict
from pathlib import Path, PurePosixPath, PureWindowsPath

from common.errors import InputError
from common.imaging.decode import IMAGE_SUFFIXES

_MOST_FILES = 500_000


class ManifestFolder:
    """The files below a manifest's folder; they are listed only once a cell names none of them exactly."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = folder.resolve()
        self._by_path: dict[str, list[Path]] | None = None
        self._by_name: defaultdict[str, list[Path]] = defaultdict(list)

    def find(self, where: str, given: str) -> tuple[Path, str] | None:
        """Return a file's real path, and its path below the folder; None where there is no such file.

        An exact name is preferred; then one that differs in case or in how accents are coded, or that lacks the suffix
        (an identifier such as ``ISIC_0024306``), in the folder named or, for a bare name, anywhere below.

        Raises
        ------
        InputError
            The path is absolute or leaves the folder, or several files may be meant.
        """
        relative = _relative(where, given)
        exact = self._inside(where, relative)
        try:
            if exact.is_file():
                return exact, relative
            if exact.is_symlink():  # one in a circle of links, which Python 3.13 gives back
                raise InputError(f"{where}: {relative!r} cannot be followed; give a plain path")
        except OSError as error:  # a name that no file can have
            raise InputError(f"{where}: {given[:40]!r}... cannot be looked for ({error.strerror})") from error
        found = self._alike(relative)
        if len(found) > 1:
            shown = " or ".join(repr(path.relative_to(self._root).as_posix()) for path in found[:2])
            raise InputError(f"{where}: {given!r} may be {shown}; write the whole path")
        if not found:
            return None
        name = found[0].relative_to(self._root).as_posix()
        return self._inside(where, name), name

    def file_of(self, given: str) -> Path | None:
        """Return the file as `find` does; None also where `find` refuses."""
        try:
            found = self.find("", given)
        except InputError:
            return None
        return found[0] if found else None

    def nearest(self, given: str) -> str | None:
        """Return the one image with a missing file's name in another folder or with another suffix; None otherwise."""
        if self._by_path is None:
            self._by_path = self._list()
        name = PurePosixPath(given.replace("\\", "/")).name
        for wanted in (name, PurePosixPath(name).stem):
            found = self._by_name.get(_plain(wanted), [])
            if len(found) == 1:
                return found[0].relative_to(self._root).as_posix()
        return None

    def _inside(self, where: str, relative: str) -> Path:
        """Return a file's real path; refuse one that leaves the manifest's folder, by ``..`` or by a link."""
        try:
            path = (self._root / relative).resolve()
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
            raise InputError(f"{where}: {relative!r} cannot be followed; give a plain path") from error
        if not path.is_relative_to(self._root):
            raise InputError(f"{where}: {relative!r} leads out of {self._folder}; put the file into that folder")
        return path

    def _alike(self, relative: str) -> list[Path]:
        if self._by_path is None:
            self._by_path = self._list()
        wanted = _plain(relative)
        found = self._by_path.get(wanted, [])
        return found if found or "/" in wanted else self._by_name.get(wanted, [])

    def _list(self) -> dict[str, list[Path]]:
        """Index all files by their path, and images by their path without suffix too."""
        by_path: defaultdict[str, list[Path]] = defaultdict(list)
        count = 0
        for folder, subfolders, files in os.walk(self._root):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            count += len(files)
            if count > _MOST_FILES:
                return {}
            for name in files:
                path = Path(folder) / name
                keys = [path] if path.suffix.lower() not in IMAGE_SUFFIXES else [path, path.with_suffix("")]
                for key in keys:
                    by_path[_plain(key.relative_to(self._root).as_posix())].append(path)
                    self._by_name[_plain(key.name)].append(path)
        return dict(by_path)


def _plain(relative: str) -> str:
    return unicodedata.normalize("NFC", os.fsencode(relative).decode("utf-8", "replace")).casefold()


def _relative(where: str, given: str) -> str:
    """Return a normalised path with "/" separators; manifests from Windows have backslashes."""
    windows = PureWindowsPath(given)
    if windows.drive or windows.root or PurePosixPath(given).is_absolute() or "\0" in given:
        raise InputError(
            f"{where}: {given!r} is not a path relative to the manifest's folder; leave out what stands before"
        )
    return posixpath.normpath(given.replace("\\", "/"))
