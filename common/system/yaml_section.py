"""What the fields of `hospital.yaml` and `consortium.yaml` are made of."""

import os
import re
import unicodedata
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from common.system.network_address import check_address, check_host, check_listening

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|\\\\")


class Section(BaseModel):
    """Fields that cannot be changed after reading; an unknown one is an error, and so are infinity and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PlacedError(ValueError):
    """What a validator of a whole section raises if one place in it is to blame, for the number of the file's line.

    Parameters
    ----------
    message : str
    below : int or str
        The way from the validated section to that place.
    """

    def __init__(self, message: str, *below: int | str) -> None:
        super().__init__(message)
        self.below = below


def _check_member_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        plain = "".join(sign for sign in unicodedata.normalize("NFKD", name) if not unicodedata.combining(sign))
        meant = re.sub(r"[^A-Za-z0-9._]+", "-", plain.replace("ß", "ss")).strip("-._")[:63]
        such = f", such as {meant}" if _NAME.fullmatch(meant) else ""
        raise ValueError(
            f"{name!r} cannot be a name: 1 to 63 letters (a to z, A to Z), digits, and . _ - after the first{such}"
        )
    return name


def _check_path(path: Any) -> Any:
    # An empty path would be the file's own folder.
    if isinstance(path, str) and not path.strip():
        raise ValueError("it is empty: fill it in")
    if isinstance(path, str) and os.name != "nt" and _WINDOWS_PATH.match(path):
        raise ValueError(
            f"{path!r} is a path of Windows, which this machine is not: write it as this machine has it, such as /data "
            "in a container, or /mnt/c/data in WSL"
        )
    return path


Port = Annotated[int, Field(ge=1, le=65535)]
MemberName = Annotated[str, AfterValidator(_check_member_name)]
"""Name of a federation or a hospital; it becomes a file's name and a certificate's."""
Host = Annotated[str, AfterValidator(check_host)]
ListeningAddress = Annotated[str, AfterValidator(check_listening)]
Address = Annotated[str, AfterValidator(check_address)]
GivenPath = Annotated[Path, BeforeValidator(_check_path)]
