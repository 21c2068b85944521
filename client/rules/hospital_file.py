"""`hospital.yaml`: where a hospital's data and state are, and what it allows. Nothing overrides it."""

import math
import re
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from common.errors import InputError
from common.plan.families import FAMILIES
from common.plan.groups import fold_count
from common.system.files import is_sha256
from common.system.folders import user_path
from common.system.yaml_file import read_yaml_file
from common.system.yaml_section import Address, GivenPath, MemberName, Port, Section

_HOURS = re.compile(r"([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)")


class DataSection(Section):
    """Where the images are, and how to read their labels; a coordinator's plan cannot change it."""

    path: GivenPath = Field(description="folder of class folders, folder with manifest.csv, .csv or .npz; read only")
    path_column: str = "path"
    label_column: str = "label"
    patient_column: str = "auto"
    split_column: str = "split"
    patient_pattern: str = "auto"
    positive: str = Field("auto", description="name of the class that means disease")
    split: Literal["own", "official"] = Field(
        "own", description="own: drawn with this hospital's secret salt; official: the one that the data bring"
    )
    test_fraction: float = Field(0.2, ge=0.001, le=0.5, description="of the patients, tested and never trained on")
    validation_fraction: float = Field(
        0.15, gt=0, le=0.5, description="of the other patients, held back if a plan compares rounds by them"
    )
    fold: int = Field(0, ge=0, description="which of round(1/test_fraction) folds is tested")

    @model_validator(mode="after")
    def _check_fold(self) -> Self:
        folds = fold_count(self.test_fraction)
        if self.fold >= folds:
            raise ValueError(f"fold = {self.fold}: test_fraction = {self.test_fraction} makes {folds}, from 0 on")
        return self


DAEMON_LOCK = "daemon.lock"
"""Name of the file in the state folder that a running daemon holds the lock of."""


class LimitsSection(Section):
    """How much of the machine a training may use."""

    cpus: int = Field(0, ge=0, description="CPU cores; 0: all")
    memory_gigabytes: float = Field(0, ge=0, description="of a training process; 0: three quarters of the machine's")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="auto: a GPU when there is one")
    sandbox: Literal["auto", "require", "off"] = Field(
        "auto", description="of the process that reads images; auto: as far as the kernel has one; require: or nothing"
    )

    @field_validator("sandbox", mode="before")
    @classmethod
    def _take_yaml_s_off(cls, value: object) -> object:
        return "off" if value is False else value  # to YAML, an unquoted off is false


class PortsSection(Section):
    """Ports on the loopback interface; nothing listens on any other."""

    runtime: Port = Field(9094, description="between Flower's SuperNode and the runner")
    health: Port = Field(9095, description="gRPC health protocol, for systemd and Kubernetes")

    @model_validator(mode="after")
    def _check_difference(self) -> Self:
        if self.runtime == self.health:
            raise ValueError(f"runtime and health are both {self.runtime}: give each a port of its own")
        return self


class RequireSection(Section):
    """Protections that a plan must have, or the hospital takes no part."""

    update_clip_norm: float = Field(
        0, ge=0, description="the plan must limit the norm of an update to at most this; 0: need not"
    )


class BoundsSection(Section):
    """What a plan may ask of the images and of this machine."""

    smallest_size: int = Field(64, ge=32, le=1024, description="of the images that the network sees, in pixels")
    largest_side: int = Field(640, ge=32, description="that images are read at, in pixels")
    views: int = Field(50, ge=0, description="most augmented views of an image, in training and in a test")
    freeze: Literal["none", "early", "all"] = Field("early", description="what must stay frozen at least")
    learning_rate: float = Field(0.003, gt=0, description="largest")


class TailsSection(Section):
    """Where a global tail may come from, see `client.exposure.tail_origin`."""

    step: float = Field(20, gt=0, description="farthest from the last one per round, in first own updates")
    reach: float = Field(0.08, gt=0, description="farthest from the first one, root mean square of a tensor's weights")


class RulesSection(Section):
    """What may run here, when, and what may leave."""

    apps: tuple[str, ...] = Field(description="SHA-256 of the Flower apps that may ask for training")
    families: tuple[str, ...] = Field(description="network families that may be trained")
    least_images: int = Field(20, ge=1, description="training images; with fewer the hospital trains nothing")
    least_patients: int = Field(10, ge=1, description="training patients; with fewer the hospital trains nothing")
    suppress_below: int = Field(
        3, ge=0, description="no bin of a score holds fewer images, and fewer patients of a class are not scored"
    )
    share: tuple[Literal["train_loss", "scores"], ...] = Field(
        ("train_loss", "scores"), description="metrics that may leave"
    )
    megabytes_per_round: float = Field(
        100, gt=0, description="largest reply; a message may be as large, and 100 at least"
    )
    hours: tuple[str, ...] = Field((), description="when trainings may start, such as 20:00-06:00; empty: always")
    local_epochs: int = Field(10, ge=1, description="most local epochs of one round")
    rounds: int = Field(100, ge=1, description="most rounds of one federation")
    rounds_per_day: int = Field(200, ge=1, description="most trainings and tests in 24 hours, of all federations")
    require: RequireSection = RequireSection()
    plans: Literal["within-rules", "approved"] = Field(
        "within-rules", description="which plans are carried out; approved: those that a person here has approved"
    )
    classes: tuple[str, ...] = Field((), description="classes that a plan may name; empty: those that the images have")
    bounds: BoundsSection = BoundsSection()
    tails: TailsSection = TailsSection()
    score_bins: int = Field(20, ge=2, le=50, description="finest resolution of a score")
    tests: int = Field(3, ge=0, description="most tests of one federation")
    federations: int = Field(30, ge=1, description="most federations in 30 days")

    @model_validator(mode="after")
    def _check_counts(self) -> Self:
        # The number of training images is the weight of an update: it cannot be kept back where an update is sent.
        if self.suppress_below > self.least_images:
            raise ValueError(f"suppress_below = {self.suppress_below} is above least_images = {self.least_images}")
        return self

    @field_validator("apps")
    @classmethod
    def _check_apps(cls, apps: tuple[str, ...]) -> tuple[str, ...]:
        apps = tuple(app.strip().lower() for app in apps)
        for app in apps:
            if not is_sha256(app):
                raise ValueError(f"{app!r} is no SHA-256: 64 hexadecimal digits, such as `rarefed-server app` prints")
        return apps

    @field_validator("families")
    @classmethod
    def _check_families(cls, families: tuple[str, ...]) -> tuple[str, ...]:
        for family in families:
            if family not in FAMILIES:
                raise ValueError(f"{family!r} is unknown; the families are {', '.join(FAMILIES)}")
        return families

    @field_validator("hours")
    @classmethod
    def _check_hours(cls, hours: tuple[str, ...]) -> tuple[str, ...]:
        for span in hours:
            if not _HOURS.fullmatch(span):
                raise ValueError(f"{span!r} is no span of hours such as '20:00-06:00'")
            if len(set(span.split("-"))) == 1:
                raise ValueError(f"{span!r} ends when it begins; the whole day is '00:00-24:00'")
        return hours

    def allows_at(self, moment: datetime) -> bool:
        """Say whether this hospital works at a local time; a span may reach over midnight."""
        return not self.hours or any(_within(span, moment.time()) for span in self.hours)

    def seconds_left(self, moment: datetime) -> float:
        """Return for how long this hospital works on from a local time: 0 outside its hours, infinity without any."""
        if not self.hours:
            return math.inf
        end = moment
        # Spans may touch or overlap; a day of them has no end.
        while self.allows_at(end):
            end = end.replace(second=0, microsecond=0) + timedelta(minutes=1)
            if end - moment > timedelta(days=1):
                return math.inf
        return (end - moment).total_seconds()


class HospitalFile(Section):
    """A hospital's own file; read it with `read_hospital_file`, which also resolves the paths.

    Attributes
    ----------
    name : str
        The hospital's name in the federation; the server learns it.
    server : str
        ``host:port`` of the gateway; an IPv6 address stands in brackets.
    ca_certificate : Path
        The federation's CA, from the start kit.
    state : Path
        Folder of everything that this hospital keeps: node key, audit log, logs, caches. No other user may read it.
    weights : str
        File or folder of pretrained weights; empty: as the plan says.
    heartbeat_seconds : int
        Between two signs of life. After twice as long without one the server takes this hospital for offline. After a
        crash it refuses the hospital for as long.
    """

    name: MemberName
    server: Address = Field(description="host:port")
    ca_certificate: GivenPath = Path("ca.crt")
    state: GivenPath = Path("state")
    weights: str = ""
    heartbeat_seconds: int = Field(30, ge=10, le=600)
    data: DataSection
    limits: LimitsSection = LimitsSection()
    ports: PortsSection = PortsSection()
    rules: RulesSection
    _path: Path = PrivateAttr(default=Path("hospital.yaml"))

    @property
    def path(self) -> Path:
        """Path of the file itself."""
        return self._path

    @property
    def node_key(self) -> Path:
        """The private key that this hospital made and that never leaves it."""
        return self.state / "node.key"

    @property
    def audit_log(self) -> Path:
        """The hash-chained log of what was asked, decided and sent."""
        return self.state / "audit.jsonl"

    @property
    def kept_replies(self) -> Path:
        """Folder of replies that may have to be sent again."""
        return self.state / "replies"

    @property
    def personal_layers(self) -> Path:
        """Folder of the layers that this hospital trains and that never leave it."""
        return self.state / "layers"

    @property
    def federations(self) -> Path:
        """Folder of what this hospital remembers of each federation."""
        return self.state / "federations"

    @property
    def plans(self) -> Path:
        """Folder of the plans that were asked for, and which of them a person has approved."""
        return self.state / "plans"

    @property
    def split_salt(self) -> Path:
        """The secret that the hospital's split is drawn with."""
        return self.state / "split.salt"

    @property
    def logs(self) -> Path:
        """Folder of the daemon's and its children's logs."""
        return self.state / "logs"

    @property
    def cache(self) -> Path:
        """Folder of what is computed from the images and can be computed again: as private as they are."""
        return self.state / "cache"

    def resolved(self, path: Path) -> Self:
        """Return a copy whose relative paths count from the file's own folder."""
        folder = path.absolute().parent

        def absolute(relative: Path) -> Path:
            return user_path(relative, folder)

        changes = {
            "ca_certificate": absolute(self.ca_certificate),
            "state": absolute(self.state),
            "weights": str(absolute(Path(self.weights))) if self.weights else "",
            "data": self.data.model_copy(update={"path": absolute(self.data.path)}),
        }
        resolved = self.model_copy(update=changes)
        resolved._path = path.absolute()
        return resolved


def read_hospital_file(path: Path) -> HospitalFile:
    """Read and check `hospital.yaml`; raises `InputError` with line and field, or if there is no such file."""
    if not path.exists():
        raise InputError(
            f"{path}: there is no such file; run this in the hospital's folder, which the start kit fills, or name the "
            "file with --file"
        )
    return read_yaml_file(path, HospitalFile).resolved(path)


def _within(span: str, moment: time) -> bool:
    start, end = span.split("-")
    now = moment.strftime("%H:%M")
    return start <= now < end if start <= end else now >= start or now < end
