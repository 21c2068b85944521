"""A coordinator with a consortium file and a server's folder."""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from common.security.enrolment import make_enrolment_request
from server.members.provision import provision
from server.members.server_folder import ServerFolder

APP = "a" * 64


@dataclass
class Coordinator:
    """Somebody with a consortium file and a folder."""

    place: Path
    host: str = "fl.example.org"
    also: list[str] = field(default_factory=list)
    hospitals: list[dict[str, str]] = field(default_factory=lambda: [{"name": "east"}, {"name": "west"}])
    name: str = "demo"
    image: str = ""

    @property
    def folder(self) -> ServerFolder:
        return ServerFolder(self.place / "federation")

    @property
    def file(self) -> Path:
        return self.place / "consortium.yaml"

    def write(self) -> Path:
        server = {"host": self.host, "also": self.also}
        content = {"name": self.name, "server": server, "hospitals": self.hospitals, "container_image": self.image}
        self.file.write_text(yaml.safe_dump(content))
        return self.file

    def provision(self) -> list[str]:
        said: list[str] = []
        provision(self.write(), self.folder, APP, said.append)
        return said

    def kit(self, hospital: str) -> dict[str, bytes]:
        with zipfile.ZipFile(self.folder.kits / f"{hospital}.zip") as kit:
            return {name: kit.read(name) for name in kit.namelist()}

    def request(self, hospital: str, key: ec.EllipticCurvePrivateKey) -> Path:
        path = self.place / f"{hospital}.request.json"
        path.write_text(make_enrolment_request(hospital, key).to_json())
        return path


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())
