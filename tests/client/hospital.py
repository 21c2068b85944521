"""A hospital's rules and messages for tests."""

from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from client.rules.hospital_file import HospitalFile, RulesSection, read_hospital_file

APP = "0" * 64


def rules(**changes: Any) -> RulesSection:
    given: dict[str, Any] = {"apps": [APP], "families": ["efficientnet_lite0"], "least_images": 5, **changes}
    return RulesSection.model_validate(given)


def write_node_key(path: Path) -> None:
    """Write a key as `rarefed-hospital enroll` makes it."""
    key = ec.generate_private_key(ec.SECP384R1())
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    path.chmod(0o600)


def write_hospital(folder: Path, data: Path, /, **changes: Any) -> HospitalFile:
    """Write and read a `hospital.yaml`; `changes` are top-level fields."""
    content: dict[str, Any] = {
        "name": "north",
        "server": "localhost:8443",
        "data": {"path": str(data)},
        "rules": {"apps": [APP], "families": ["efficientnet_lite0"], "least_images": 5, "suppress_below": 0},
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "hospital.yaml"
    path.write_text(yaml.safe_dump(content))
    hospital = read_hospital_file(path)
    hospital.state.mkdir(mode=0o700, exist_ok=True)
    return hospital
