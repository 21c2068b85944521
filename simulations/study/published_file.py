"""A file that sets published numbers beside what rarefed reaches on the same images: `rarefed-sim published`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import InputError
from common.plan.groups import Scalar
from common.plan.toml_file import flatten, read_toml
from common.plan.training_plan import TrainingPlan
from common.system.validation_words import explain_value, field_path
from simulations.study.arms import ARMS

MetricName = Literal["accuracy", "auc", "balanced-accuracy", "balanced-accuracy-of-sites"]

# What the command itself says.
_OWN_KEYS = ("study.output", "study.name")
_OF_FIELDS = {"missing": "is missing", "extra_forbidden": "is none of a protocol's keys"}


class PublishedResult(BaseModel):
    """One number of a paper, or one without its like there, and which training and arm it is compared with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    training: str
    arm: str
    metric: MetricName
    method: str = Field(description="what the paper calls it")
    value: float | None = Field(None, ge=0, le=1, description="as published; without one, only ours is shown")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    paper: str
    differs: list[str] = Field(description="what is not as in the paper, a sentence each")
    plan: dict[str, Any] = {}
    trainings: dict[str, dict[str, Any]] = Field(min_length=1)
    results: list[PublishedResult] = Field(min_length=1)


@dataclass(frozen=True)
class Protocol:
    """A paper's results, and the trainings to set beside them.

    Attributes
    ----------
    paper : str
        Its citation.
    differs : list of str
        What is not as in the paper, a sentence each.
    plans : dict of str to TrainingPlan
        By training, each with the path of its images.
    results : list of PublishedResult
    """

    paper: str
    differs: list[str]
    plans: dict[str, TrainingPlan]
    results: list[PublishedResult]


def read_published_file(path: Path, data: Path, changes: Mapping[str, Scalar]) -> Protocol:
    """Read the file of a protocol.

    `paper` and `differs` are texts; table `plan`, which may be missing, changes the default plan; each table below
    `trainings` is a training: what it changes in that plan, with `data.path` below the folder of the data ("" or left
    out: that folder); each of `results` is a number of the paper.

    Parameters
    ----------
    path : Path
        The TOML file.
    data : Path
        The user's images, laid out as the file says.
    changes : mapping of str to Scalar
        Further changes of all plans, which take precedence over the file's.

    Raises
    ------
    InputError
        If the file is no such protocol, or images are not there; one line that names it.
    """
    try:
        file = _File.model_validate(read_toml(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = field_path(first["loc"])
        wrong = _OF_FIELDS.get(first["type"]) or explain_value(first)
        raise InputError(f"{path}: {where}: {wrong}") from error
    plans = {}
    for name, own in file.trainings.items():
        given = flatten(file.plan) | flatten(own)
        if own_key := next((key for key in _OWN_KEYS if key in given), None):
            raise InputError(f"{path}: {own_key} cannot stand in a protocol")
        images = data / str(given.get("data.path", ""))
        if not images.exists():
            raise InputError(f"{images} is not there: the comments in {path} say how the images are laid out")
        whole = given | {"data.path": str(images), "study.name": f"{path.stem}-{name}"} | dict(changes)
        try:
            plans[name] = TrainingPlan.from_flat(whole)
        except InputError as error:
            raise InputError(f"{path}: training {name}: {error}") from error
    for result in file.results:
        _check_result(path, result, plans)
    return Protocol(file.paper, file.differs, plans, file.results)


def _check_result(path: Path, result: PublishedResult, plans: Mapping[str, TrainingPlan]) -> None:
    """Refuse a number that no training would stand beside."""
    if result.training not in plans:
        raise InputError(f"{path}: {result.method}: there is no training {result.training!r}, only {', '.join(plans)}")
    trained = plans[result.training].study.arm_names
    if result.arm not in ARMS or result.arm not in trained:
        raise InputError(
            f"{path}: {result.method}: training {result.training} has no arm {result.arm!r}, only {', '.join(trained)}"
        )
