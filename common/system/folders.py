"""The user's folders: cache and pretrained weights."""

import os
from pathlib import Path

import platformdirs

from common.errors import InputError


def cache_folder() -> Path:
    """Return the folder of what can be computed again: `$RAREFED_CACHE`, else the user's cache folder."""
    chosen = os.environ.get("RAREFED_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("rarefed")


def weights_folder() -> Path:
    """Return the folder of staged weights: `$RAREFED_WEIGHTS`, else the user's data folder."""
    chosen = os.environ.get("RAREFED_WEIGHTS")
    return Path(chosen) if chosen else platformdirs.user_data_path("rarefed") / "weights"


def user_path(path: Path, folder: Path | None = None) -> Path:
    """Return a path as the user means it: ~ is the home folder, and a relative path starts at a folder.

    Parameters
    ----------
    path : Path
    folder : Path, optional
        By default the working folder.

    Raises
    ------
    InputError
        If nobody has that home folder.
    """
    try:
        return (folder or Path()).absolute() / path.expanduser()
    except RuntimeError as error:
        raise InputError(f"{path}: there is no such user's home folder; write the whole path") from error
