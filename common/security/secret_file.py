"""Secrets that two programs of one machine share through a file."""

import secrets
from pathlib import Path

from common.system.files import write_bytes_atomically

_BYTES = 32


def write_secret(path: Path) -> None:
    """Draw a new secret and write it to a file that only its owner can read."""
    write_bytes_atomically(path, secrets.token_bytes(_BYTES), mode=0o600)


def keep_secret(path: Path) -> bool:
    """Write a secret unless the file holds one, and say whether it was written; an empty file holds none."""
    if path.exists() and path.stat().st_size:
        return False
    write_secret(path)
    return True
