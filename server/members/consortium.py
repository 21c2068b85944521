"""`consortium.yaml`: the coordinator's description of the federation: its server and its hospitals."""

import re
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from common.system.yaml_file import read_yaml_file
from common.system.yaml_section import GivenPath, Host, ListeningAddress, MemberName, PlacedError, Port, Section

# Not what YAML or a shell reads as anything else.
_IMAGE = re.compile(r"([a-z0-9][a-z0-9._:/-]*@)?sha256:[0-9a-f]{64}")


class ServerSection(Section):
    """The one machine that hospitals connect to."""

    host: Host = Field(description="name or address that hospitals connect to")
    also: tuple[Host, ...] = Field((), description="more names and addresses for the certificate")
    port: Port = Field(8443, description="of the gateway, the only port that hospitals reach")
    listen: ListeningAddress = Field("0.0.0.0", description="address that the gateway listens on")
    gateway: bool = Field(True, description="false: another proxy stands in front of the SuperLink; see deploy/")
    gigabytes_per_hour: float = Field(
        4.0, ge=0.1, allow_inf_nan=False, description="what one hospital may send over time, counted by the gateway"
    )
    superlink_port: Port = Field(9091, description="of Flower's SuperLink, on loopback")
    runs: GivenPath = Field(Path("runs"), description="folder of the run folders, relative to the server's folder")

    @field_validator("host")
    @classmethod
    def _check_one_machine(cls, host: str) -> str:
        if host.startswith("*."):
            raise ValueError(
                f"{host!r} is no single machine: write the name that hospitals connect to; this can stand in also"
            )
        return host

    @model_validator(mode="after")
    def _check_ports(self) -> Self:
        if self.gateway and self.port == self.superlink_port:
            raise ValueError(f"port and superlink_port are both {self.port}: give each a port of its own")
        return self


class HospitalEntry(Section):
    """One member."""

    name: MemberName
    contact: str = ""
    images: int | None = Field(None, ge=1, description="how many it has, as it told you; what it may weigh at most")


class Consortium(Section):
    """The whole file."""

    name: MemberName
    server: ServerSection
    hospitals: tuple[HospitalEntry, ...] = Field(min_length=1)
    container_image: str = Field("", description="of hospitals, by digest; empty: by rarefed's version")

    @field_validator("container_image")
    @classmethod
    def _check_digest(cls, image: str) -> str:
        if image and not _IMAGE.fullmatch(image):
            raise ValueError(
                f"{image!r} is no image by digest: write registry/name@sha256:... as `docker push` prints it, or "
                "sha256:... as `docker image inspect --format {{.Id}}` does"
            )
        return image

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        first: dict[str, int] = {}
        for index, name in enumerate(hospital.name.casefold() for hospital in self.hospitals):
            if name in first:
                written = self.hospitals[index].name
                raise PlacedError(
                    f"hospitals number {first[name] + 1} and {index + 1} are both called {written!r} "
                    "(capitals make no difference): give each a name of its own",
                    *("hospitals", index, "name"),
                )
            first[name] = index
        return self


def read_consortium(path: Path) -> Consortium:
    """Read and check a consortium file; raises `InputError` with line and field."""
    return read_yaml_file(path, Consortium)
