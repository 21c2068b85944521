"""The commands `rarefed-sim run`, `study` and `robustness`: those that train."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from common.system.command_line import table_console
from simulations.cli.options import (
    CHANGES,
    DATA,
    DEFAULT_OUTPUT,
    OUTPUT,
    SITES,
    parse_changes,
    parse_plan,
    with_paths,
)

AS_JSON = Annotated[bool, typer.Option("--json", help="Print summary.json instead of the table.")]
FRESH = Annotated[bool, typer.Option("--fresh", help="Do not go on from an interrupted run of the same plan.")]


def run(
    data: DATA = None,
    sites: SITES = 0,
    output: OUTPUT = DEFAULT_OUTPUT,
    changes: CHANGES = [],  # noqa: B006
    fresh: FRESH = False,
    as_json: AS_JSON = False,
) -> None:
    """Train centralised, federated and per hospital on one split, and compare."""
    _simulate(with_paths(parse_plan(changes), data, sites, output), fresh, as_json)


def study(
    data: DATA = None,
    sites: SITES = 0,
    folds: Annotated[
        int, typer.Option(help="Of the cross-validation: every image is tested once per repeat.", min=2)
    ] = 5,
    repeats: Annotated[int, typer.Option(help="Of the cross-validation, with other folds.", min=1)] = 1,
    arms: Annotated[
        str,
        typer.Option(help="Of federated, centralized, local, probe, scratch; with commas. [default: all but scratch]"),
    ] = "",
    models: Annotated[str, typer.Option(help="Families to compare, such as vgg16,resnet50.")] = "",
    strategies: Annotated[str, typer.Option(help="Strategies to compare, such as fedavg,fedprox.")] = "",
    partitions: Annotated[str, typer.Option(help="Partitions to compare, such as natural,iid,dirichlet.")] = "",
    site_counts: Annotated[str, typer.Option(help="Numbers of hospitals to compare, such as 2,4,8.")] = "",
    faults: Annotated[str, typer.Option(help="Ways to fail to compare: none,dropout,scaled,flipped.")] = "",
    output: OUTPUT = DEFAULT_OUTPUT,
    changes: CHANGES = [],  # noqa: B006
    fresh: FRESH = False,
    as_json: AS_JSON = False,
) -> None:
    """Answer whether federating is worth it: repeated cross-validation of all arms, with statistics and a report.

    Interrupt it at any moment: the same command goes on where it stopped.
    """
    chosen: dict[str, Scalar] = {"study.folds": folds, "study.repeats": repeats}
    lists = {"arms": arms, "models": models, "strategies": strategies, "partitions": partitions, "faults": faults}
    chosen |= {f"study.{key}": value for key, value in (lists | {"site_counts": site_counts}).items() if value}
    _simulate(with_paths(parse_plan(changes, chosen), data, sites, output), fresh, as_json)


def robustness(
    data: DATA = None,
    output: OUTPUT = DEFAULT_OUTPUT,
    changes: CHANGES = [],  # noqa: B006
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what is measured already.")] = False,
) -> None:
    """Measure what federated training loses to hospitals that drop out, and to a hostile one; two tables.

    Interrupt it at any moment: the same command goes on where it stopped.
    """
    from common.summary.summary_file import read_summary
    from simulations.analysis.robustness import robustness_plans
    from simulations.report.terminal import TABLE_WIDTH, render_faults

    console = table_console(TABLE_WIDTH)
    plans = [with_paths(measurement, data, 0, output) for measurement in robustness_plans(parse_changes(changes))]
    measured = [None if fresh else _still_valid(plan) for plan in plans]
    _check([plan for plan, done in zip(plans, measured, strict=True) if not done])
    paths = []
    for plan, done in zip(plans, measured, strict=True):
        if done:
            console.print(f"measured already: {done} (--fresh measures again)", soft_wrap=True, highlight=False)
        paths.append(done or _train(plan, fresh, console))
    for path in paths:
        console.print(render_faults(read_summary(path)))
        console.print(f"run folder: {path}", soft_wrap=True, highlight=False)


def _still_valid(plan: TrainingPlan) -> Path | None:
    """Return the finished run of a plan; None if there is none of these images, these weights and this version."""
    from common.summary.summary_file import read_summary
    from simulations.analysis.earlier_result import still_holds
    from simulations.study.earlier_runs import finished_run

    found = finished_run(Path(plan.study.output), plan.digest)
    return found if found and still_holds(read_summary(found), plan) else None


def _check(plans: Sequence[TrainingPlan]) -> None:
    """Refuse before the first training, which takes hours, what the last plan would be refused for."""
    from simulations.preflight.findings import require_fit
    from simulations.preflight.machine import check_machine
    from simulations.preflight.plan_check import check_plan

    for plan in plans:
        require_fit(check_machine(plan))
        check_plan(plan)


def _simulate(plan: TrainingPlan, fresh: bool, as_json: bool) -> None:
    """Train by a plan and print its summary as a table or as JSON."""
    from common.summary.summary_file import read_summary
    from simulations.report.terminal import TABLE_WIDTH, render_table

    console = table_console(TABLE_WIDTH, stderr=as_json)
    path = _train(plan, fresh, console)
    if as_json:
        print(json.dumps(json.loads((path / "summary.json").read_text()), indent=2))
    else:
        console.print(render_table(read_summary(path)))
        console.print(f"run folder: {path}", soft_wrap=True, highlight=False)


def _train(plan: TrainingPlan, fresh: bool, console: Console) -> Path:
    """Run a plan in a Flower of its own, or resume an interrupted run of it, and return the run folder."""
    from simulations.cli.run_progress import RunProgress
    from simulations.launcher.launch import launch_run

    with RunProgress(console) as progress:
        return launch_run(plan, fresh, progress.show)
