"""Options that several commands of `rarefed-sim` have, and the plan that they describe."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from common.errors import InputError
from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from common.system.command_line import parse_change
from common.system.folders import user_path
from simulations.study.presets import BEST, QUICK

DATA = Annotated[Path | None, typer.Option(help="Image folder, manifest.csv or .npz. [default: the phantom]")]
SITES = Annotated[int, typer.Option(help="Number of hospitals; 0: as the data say, else 4.", min=0)]
OUTPUT = Annotated[Path, typer.Option(help="Folder of the run folders.")]
DEFAULT_OUTPUT = Path("runs")
CHANGES = Annotated[list[str], typer.Option("--set", help="Any plan key, as in training.seed=2.")]

# What a run or a study compares: comma-separated lists of the plan's group `study`.
ARMS = Annotated[
    str, typer.Option(help="Of federated, centralized, local, probe, scratch; with commas. [default: all but scratch]")
]
MODELS = Annotated[str, typer.Option(help="Families to compare, such as vgg16,resnet50.")]
STRATEGIES = Annotated[str, typer.Option(help="Strategies to compare, such as fedavg,fedprox.")]
PARTITIONS = Annotated[str, typer.Option(help="Partitions to compare, such as natural,iid,dirichlet.")]
SITE_COUNTS = Annotated[str, typer.Option(help="Numbers of hospitals to compare, such as 2,4,8.")]
FAULTS = Annotated[str, typer.Option(help="Ways to fail to compare: none,dropout,scaled,flipped.")]
RECIPES = Annotated[
    str, typer.Option(help="Changes of the plan to compare: 'raw: data.denoise=none; long: federation.rounds=24'.")
]

QUICK_PRESET = Annotated[bool, typer.Option("--quick", help="A third of the training time, and less accurate.")]
BEST_PRESET = Annotated[bool, typer.Option("--best", help="Longer training: see simulations/README.md.")]


def parse_plan(changes: Sequence[str], defaults: Mapping[str, Scalar] | None = None) -> TrainingPlan:
    """Return the plan with a command's defaults and what follows `--set`, which wins.

    Raises
    ------
    InputError
        If a change is not KEY=VALUE, or a key or value is not a plan's.
    """
    return TrainingPlan.from_flat({**(defaults or {}), **parse_changes(changes)})


def parse_changes(changes: Sequence[str]) -> dict[str, str]:
    """Return what follows `--set`, by plan key.

    Raises
    ------
    InputError
        If a change is not KEY=VALUE.
    """
    return dict(parse_change(change) for change in changes)


def given_lists(**lists: str) -> dict[str, Scalar]:
    """Return the lists of the plan's group `study` that the user gave, by plan key."""
    return {f"study.{key}": value for key, value in lists.items() if value}


def chosen_preset(quick: bool, best: bool) -> Mapping[str, Scalar]:
    """Return what `--quick` or `--best` changes in the plan.

    Raises
    ------
    InputError
        If both are given.
    """
    if quick and best:
        raise InputError("--quick and --best exclude each other: leave one of them out")
    return QUICK if quick else BEST if best else {}


def with_paths(plan: TrainingPlan, data: Path | None, sites: int, output: Path) -> TrainingPlan:
    """Return a plan with the options' data and number of hospitals, and with absolute paths.

    Relative paths are the user's; Flower's processes have another working folder.
    """
    changes: dict[str, Scalar] = {"study.output": str(user_path(Path(plan.study.output or output)))}
    path = data or (Path(plan.data.path) if plan.data.path else None)
    if path is not None:
        changes["data.path"] = str(user_path(path))
    if sites:
        changes["study.sites"] = sites
    if plan.model.weights not in ("auto", "none"):
        changes["model.weights"] = str(user_path(Path(plan.model.weights)))
    return plan.changed(changes)
