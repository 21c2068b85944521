"""A hospital's start kit: a zip file with all that its IT needs and no secret."""

import io
import json
import zipfile
from importlib.metadata import version

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from jinja2 import Environment, PackageLoader, StrictUndefined

from common.plan.families import FAMILIES
from common.system.installation import wheel_digest
from common.system.network_address import join_address
from server.members.consortium import Consortium
from server.members.pins import CPU_PINS, PINS, read_pins, without_pytorch

_FILES = ("README.md", "compose.yaml", "hospital.yaml", "rarefed-hospital.service")
# The earliest time that a zip can hold, so that a kit's bytes depend on its content alone.
_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


def build_start_kit(consortium: Consortium, hospital: str, authority: x509.Certificate, app_hash: str) -> bytes:
    """Return a start kit as a zip file; equal arguments give equal bytes.

    Parameters
    ----------
    consortium : Consortium
        Names the federation and its server.
    hospital : str
        Name of the hospital.
    authority : Certificate
        The federation's CA, by which the hospital knows its server.
    app_hash : str
        SHA-256 of the Flower app that `hospital.yaml` approves; empty: none, until the hospital enters it.
    """
    templates = Environment(
        loader=PackageLoader("server.members", "kit"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,
    )
    # Every JSON string is a YAML string.
    templates.filters["quote"] = json.dumps
    pins = read_pins()
    cpu_pins, pytorch = without_pytorch(pins)
    values = {
        "federation": consortium.name,
        "hospital": hospital,
        "server": join_address(consortium.server.host, consortium.server.port),
        "apps": [app_hash] if app_hash else [],
        "families": FAMILIES,
        "version": version("rarefed"),
        "wheel_digest": wheel_digest(),
        "image": consortium.container_image,
        "pytorch": " ".join(pytorch),
    }
    files = {name: templates.get_template(f"{name}.j2").render(values).encode() for name in _FILES}
    files |= {PINS: pins.encode(), CPU_PINS: cpu_pins.encode()}
    files["ca.crt"] = authority.public_bytes(Encoding.PEM)
    content = io.BytesIO()
    # Not compressed, since the output of a compressor depends on its version.
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as kit:
        for name, text in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system = _UNIX
            entry.external_attr = 0o644 << 16
            kit.writestr(entry, text)
    return content.getvalue()
