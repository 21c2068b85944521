"""The files of a start kit as a hospital gets them: the only unit and compose file that there are for it."""

import io
import zipfile
from functools import cache

from server.members.certificates import make_authority
from server.members.consortium import Consortium
from server.members.start_kit import build_start_kit

_CONSORTIUM = {
    "name": "rare-lesions",
    "server": {"host": "federation.example.org"},
    "hospitals": [{"name": "north"}],
}


@cache
def kit_file(name: str) -> str:
    """Return a file of the hospital north's kit."""
    consortium = Consortium.model_validate(_CONSORTIUM)
    content = build_start_kit(consortium, "north", make_authority(consortium.name).certificate, "")
    with zipfile.ZipFile(io.BytesIO(content)) as kit:
        return kit.read(name).decode()
