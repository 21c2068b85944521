"""The commands `rarefed-sim run`, `study` and `robustness`: those that train."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from common.plan.training_plan import TrainingPlan
from common.system.command_line import table_console
from simulations.cli.options import (
    ARMS,
    BEST_PRESET,
    CHANGES,
    DATA,
    DEFAULT_OUTPUT,
    FAULTS,
    MODELS,
    OUTPUT,
    PARTITIONS,
    QUICK_PRESET,
    RECIPES,
    SITE_COUNTS,
    SITES,
    STRATEGIES,
    chosen_preset,
    given_lists,
    parse_changes,
    parse_plan,
    with_paths,
)

if TYPE_CHECKING:
    from common.summary.summary import Summary
    from simulations.report.tables.table import Table

AS_JSON = Annotated[bool, typer.Option("--json", help="Print summary.json instead of the table.")]
FRESH = Annotated[bool, typer.Option("--fresh", help="Do not go on from an interrupted run of the same plan.")]


def run(
    data: DATA = None,
    sites: SITES = 0,
    arms: ARMS = "",
    models: MODELS = "",
    strategies: STRATEGIES = "",
    partitions: PARTITIONS = "",
    site_counts: SITE_COUNTS = "",
    faults: FAULTS = "",
    recipes: RECIPES = "",
    quick: QUICK_PRESET = False,
    best: BEST_PRESET = False,
    output: OUTPUT = DEFAULT_OUTPUT,
    changes: CHANGES = [],  # noqa: B006
    fresh: FRESH = False,
    as_json: AS_JSON = False,
) -> None:
    """Train centralised, federated and per hospital on one split, and compare."""
    chosen = given_lists(
        arms=arms,
        models=models,
        strategies=strategies,
        partitions=partitions,
        site_counts=site_counts,
        faults=faults,
        recipes=recipes,
    )
    chosen |= chosen_preset(quick, best)
    _simulate(with_paths(parse_plan(changes, chosen), data, sites, output), fresh, as_json)


def study(
    data: DATA = None,
    sites: SITES = 0,
    folds: Annotated[
        int, typer.Option(help="Of the cross-validation: every image is tested once per repeat.", min=2)
    ] = 5,
    repeats: Annotated[int, typer.Option(help="Of the cross-validation, with other folds.", min=1)] = 1,
    arms: ARMS = "",
    models: MODELS = "",
    strategies: STRATEGIES = "",
    partitions: PARTITIONS = "",
    site_counts: SITE_COUNTS = "",
    faults: FAULTS = "",
    recipes: RECIPES = "",
    quick: QUICK_PRESET = False,
    best: BEST_PRESET = False,
    output: OUTPUT = DEFAULT_OUTPUT,
    changes: CHANGES = [],  # noqa: B006
    fresh: FRESH = False,
    as_json: AS_JSON = False,
) -> None:
    """Answer whether federating is worth it: repeated cross-validation of all arms, with statistics and a report.

    Interrupt it at any moment: the same command goes on where it stopped.
    """
    chosen = given_lists(
        arms=arms,
        models=models,
        strategies=strategies,
        partitions=partitions,
        site_counts=site_counts,
        faults=faults,
        recipes=recipes,
    )
    chosen |= {"study.folds": folds, "study.repeats": repeats, **chosen_preset(quick, best)}
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
    paths = train_all(plans, fresh, console)
    for path in paths:
        console.print(render_faults(read_summary(path)))
        console.print(f"run folder: {path}", soft_wrap=True, highlight=False)


def train_all(plans: Sequence[TrainingPlan], fresh: bool, console: Console) -> list[Path]:
    """Run those of several plans that have no finished run yet; return all run folders, in the order of the plans."""
    done = [None if fresh else _still_valid(plan) for plan in plans]
    _check([plan for plan, run in zip(plans, done, strict=True) if not run])
    paths = []
    for plan, finished in zip(plans, done, strict=True):
        if finished:
            console.print(f"measured already: {finished} (--fresh measures again)", soft_wrap=True, highlight=False)
        paths.append(finished or _train(plan, fresh, console))
    return paths


def train_each(plans: Mapping[str, TrainingPlan], fresh: bool, console: Console) -> "dict[str, Summary]":
    """Return the summaries of several plans by their names, as `train_all` runs them."""
    from common.summary.summary_file import read_summary

    runs = train_all(list(plans.values()), fresh, console)
    return {name: read_summary(run) for name, run in zip(plans, runs, strict=True)}


def show_table(table: "Table", folder: Path, console: Console) -> Path:
    """Print a table and write it as CSV into a folder, which is made if absent; return the file."""
    from common.system.files import write_text_atomically
    from simulations.report.tables.table import table_csv
    from simulations.report.terminal import draw_table

    console.print(*draw_table(table), table.caption, "", sep="\n", markup=False)
    path = folder / f"{table.name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, table_csv(table))
    return path


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
