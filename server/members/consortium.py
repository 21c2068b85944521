"""`consortium.yaml`: the coordinator's description of the federation: its server and its hospitals."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from common.system.yaml_file import read_yaml_file

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
Port = Annotated[int, Field(ge=1, le=65535)]

_HOST = re.compile(r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def _check_host(host: str) -> str:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not _HOST.fullmatch(host):
            raise ValueError(
                f"{host!r} is no name or address of a machine; other letters are written in the xn-- form"
            ) from None
    return host


Host = Annotated[str, AfterValidator(_check_host)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ServerSection(_Section):
    """The one machine that hospitals connect to."""

    host: Host = Field(pattern=r"^[^\s:/*]+$", description="name or address that hospitals connect to")
    also: tuple[Host, ...] = Field((), description="more names and addresses for the certificate")
    port: Port = Field(8443, description="of the gateway, the only port that hospitals reach")
    listen: str = Field("0.0.0.0", description="address that the gateway listens on")
    gateway: bool = Field(True, description="false: another proxy stands in front of the SuperLink; see deploy/")
    superlink_port: Port = Field(9091, description="of Flower's SuperLink, on loopback")
    runs: Path = Field(Path("runs"), description="folder of the run folders, relative to the server's folder")


class HospitalEntry(_Section):
    """One member."""

    name: Name
    contact: str = ""


class Consortium(_Section):
    """The whole file."""

    name: Name
    server: ServerSection
    hospitals: tuple[HospitalEntry, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [hospital.name.casefold() for hospital in self.hospitals]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two hospitals are called {twice[0]!r}: give each a name of its own")
        return self


def read_consortium(path: Path) -> Consortium:
    """Read and check a consortium file; raises `InputError` with line and field."""
    return read_yaml_file(path, Consortium)
