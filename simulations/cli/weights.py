"""The commands `rarefed-sim weights list`, `fetch` and `verify`."""

import json
from enum import StrEnum
from typing import Annotated

import typer

from common.errors import InputError
from common.plan.families import FAMILIES, Family


class Source(StrEnum):
    """Where weights are published; see `common.models.weights_download.fetch`."""

    HUB = "hub"
    TORCHVISION = "torchvision"


FAMILY_NAMES = Annotated[list[str], typer.Argument(help="Families, or all.")]
SOURCE = Annotated[Source, typer.Option("--from", help="The hub that timm uses, or torchvision.")]

app = typer.Typer(help="Pretrained weights: fetch them once, train without the network.", no_args_is_help=True)


@app.command("list")
def list_weights(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Show for each family where its weights are."""
    from common.models.pretrained_weights import available

    found = available()
    if as_json:
        rows = {
            name: {"source": w.source, "path": str(w.path), "sha256": w.sha256} if w else None
            for name, w in found.items()
        }
        print(json.dumps(rows, indent=2))
        return
    for name, weights in found.items():
        # No table: a path or command that a terminal cuts short cannot be copied.
        source, digest = (weights.source, weights.sha256[:12]) if weights else ("missing", "")
        print(f"{name:20}{source:10}{digest:14}{weights.path if weights else f'rarefed-sim weights fetch {name}'}")


@app.command("fetch")
def fetch_weights(families: FAMILY_NAMES, source: SOURCE = Source.HUB) -> None:
    """Download weights and stage them for training without the network."""
    from common.models.weights_download import fetch

    for name in FAMILIES if families == ["all"] else families:
        weights = fetch(_family(name), source)
        print(f"{name}: {weights.path} sha256 {weights.sha256}")


@app.command("verify")
def verify_weights() -> None:
    """Check the weights at hand against their recorded SHA-256 and their family's tensors."""
    from common.models.pretrained_weights import available, verify

    faults = 0
    for name, weights in available().items():
        if weights:
            fault = verify(weights)
            faults += fault is not None
            print(f"{name}: {fault or f'ok ({weights.source}, sha256 {weights.sha256})'}")
    if faults:
        raise typer.Exit(1)


def _family(name: str) -> Family:
    if name not in FAMILIES:
        raise InputError(f"unknown family {name!r}; known: {', '.join(FAMILIES)}")
    return FAMILIES[name]
