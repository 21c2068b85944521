"""The production Flower app, which carries no code: its folder in a checkout or a wheel, and its bundle."""

import hashlib
from pathlib import Path

from flwr.cli.build import build_fab_from_disk

from common.errors import RunError

RESUME_KEY = "run.resume"
"""Key of the app's config beside those of the plan: the final name of the interrupted run folder to resume."""

_PACKAGE = Path(__file__).resolve().parents[1]
_PLACES = (_PACKAGE / "app_bundle", _PACKAGE.parent / "deploy" / "app")


def app_folder() -> Path:
    """Return the folder of the production app's `pyproject.toml`.

    Raises
    ------
    RunError
        If the installation is incomplete.
    """
    for folder in _PLACES:
        if (folder / "pyproject.toml").is_file():
            return folder
    raise RunError(f"this installation has no Flower app: neither {_PLACES[0]} nor {_PLACES[1]}; install rarefed again")


def build_bundle(app_folder: Path) -> bytes:
    """Return a Flower app as the archive that hospitals receive; raises `RunError` if it is no app."""
    try:
        return build_fab_from_disk(app_folder)
    except (OSError, ValueError) as error:
        raise RunError(f"{app_folder}: no Flower app can be built from it: {' '.join(str(error).split())}") from error


def app_hash(app_folder: Path) -> str:
    """Return the SHA-256 of an app's bundle, by which hospitals approve it, as 64 hexadecimal digits."""
    return hashlib.sha256(build_bundle(app_folder)).hexdigest()
