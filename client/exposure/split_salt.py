"""The secret that draws a hospital's split: no server can choose, by a plan's seed, which patients are scored.

A server that may draw the split again and again learns each image's score from the differences between the draws.
"""

import secrets
from pathlib import Path

from client.rules.policy import HospitalFailure
from common.protocol.refusals import Failure
from common.system.files import write_bytes_atomically

_BITS = 128


def split_seed(path: Path) -> int:
    """Return the seed of this hospital's split, for all plans; draws it once.

    Parameters
    ----------
    path : Path
        `HospitalFile.split_salt`: one hexadecimal number.

    Raises
    ------
    HospitalFailure
        If the file holds something else, or cannot be read or written. No other seed takes its place: patients who
        were tested would be trained on.
    """
    try:
        if not path.exists():
            write_bytes_atomically(path, f"{secrets.randbits(_BITS):x}\n".encode(), mode=0o600)
        return int(path.read_text(encoding="ascii"), 16)
    except ValueError as error:
        raise HospitalFailure(Failure.STATE, f"{path} holds no hexadecimal number: restore it from a backup") from error
    except OSError as error:
        raise HospitalFailure(Failure.STATE, f"{path} cannot be used: {error.strerror}") from error
