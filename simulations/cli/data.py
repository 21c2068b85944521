"""The commands `rarefed-sim phantom` and `hand-out`: those that write images."""

from pathlib import Path
from typing import Annotated

import typer

from common.errors import InputError
from simulations.cli.options import CHANGES, DATA, DEFAULT_OUTPUT, SITES, parse_plan, with_paths


def phantom(
    folder: Annotated[Path, typer.Argument(help="A folder to be made.")],
    images: Annotated[int, typer.Option(min=40, max=100_000)] = 200,
    seed: Annotated[int, typer.Option(min=0)] = 1,
) -> None:
    """Write the built-in synthetic data set to look at, or to try rarefed with."""
    from simulations.phantom.data_set import write_phantom

    if folder.exists():
        raise InputError(f"{folder} exists already: name a folder to be made")
    write_phantom(folder, seed=seed, images=images)
    print(folder)


def hand_out(
    folder: Annotated[Path, typer.Argument(help="Folder that gets one folder per hospital; must be empty or absent.")],
    data: DATA = None,
    sites: SITES = 0,
    changes: CHANGES = [],  # noqa: B006
) -> None:
    """Deal a data set out to one folder per hospital: for a real federation on this machine (see deploy/)."""
    from simulations.sites import export
    from simulations.sites.consortium import load_consortium

    consortium = load_consortium(with_paths(parse_plan(changes), data, sites, DEFAULT_OUTPUT))
    for site, (name, place) in zip(consortium.sites, export.hand_out(consortium, folder).items(), strict=True):
        count = len(site.split.train) + len(site.split.validation) + len(site.split.test)
        print(f"{name}: {count} images in {place}")
