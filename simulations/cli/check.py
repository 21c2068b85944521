"""The command `rarefed-sim check`: is the data set read as it is meant, and could a run of it start?"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from common.system.command_line import table_console
from common.system.folders import user_path
from common.system.wording import plural
from simulations.cli.options import CHANGES, DATA, DEFAULT_OUTPUT, SITES, parse_plan, with_paths

if TYPE_CHECKING:
    from client.preflight.findings import Report
    from simulations.preflight.inspection import Inspection
    from simulations.sites.consortium import SimulatedConsortium

_NOT_USABLE = 2
# A file's name may have 255 bytes, of which a letter can take four.
_LONGEST_NAME = 50

PLACE = Annotated[Path | None, typer.Argument(help="Image folder, manifest.csv or .npz. [default: the phantom]")]
PAGE = Annotated[
    Path | None,
    typer.Option(help="The page with the images. [default: check-<name>.html beside the folder of the runs]"),
]
AS_JSON = Annotated[bool, typer.Option("--json", help="Print what was found as JSON instead of tables.")]


def check(
    place: PLACE = None,
    data: DATA = None,
    sites: SITES = 0,
    output: PAGE = None,
    changes: CHANGES = [],  # noqa: B006
    as_json: AS_JSON = False,
) -> None:
    """Say what a data set is taken for, and whether a run could start; write a page with its images.

    Exit code 2 if a run would refuse the data or the machine; warnings keep it at 0.
    """
    from client.preflight.findings import Report, Status, failed
    from simulations.preflight.contact_sheet import write_contact_sheet
    from simulations.preflight.inspection import inspect_plan

    plan = with_paths(parse_plan(changes), place or data, sites, DEFAULT_OUTPUT)
    if output is not None and user_path(output).is_dir():
        raise InputError(f"{output}: is a folder; name the page, such as {output / 'check.html'}")
    try:
        with _show_reading() as advance:
            found = inspect_plan(plan, advance)
    except InputError as error:
        if as_json:
            _print_json(Report("", (failed("images", str(error), "a run would refuse this for the same reason"),)))
        raise
    page = unwritten = None
    if found.consortium:
        name = found.report.hospital[:_LONGEST_NAME]
        target = output or Path(plan.study.output).parent / f"check-{name}.html"
        try:
            page = write_contact_sheet(found, found.consortium, plan, user_path(target))
        except InputError as error:
            unwritten = error
    if as_json:
        _print_json(found.report, found.consortium, page)
    else:
        _print(found, plan, page)
    if unwritten:
        raise unwritten
    raise typer.Exit(_NOT_USABLE if found.report.worst == Status.FAILED else 0)


def _print(found: "Inspection", plan: TrainingPlan, page: Path | None) -> None:
    from client.cli.check import conclude, render_report
    from client.preflight.findings import Report, Status
    from simulations.preflight.reading import classes_table, describe_reading, describe_survey, sites_table
    from simulations.report.terminal import TABLE_WIDTH, draw_table

    console = table_console(TABLE_WIDTH)
    told = describe_reading(found.consortium) if found.consortium else describe_survey(found.survey)
    for line in told:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if found.consortium:
        tables = (classes_table(found.consortium, found.survey), sites_table(found.consortium))
        console.print(Group(Text(""), *(part for table in tables for part in draw_table(table))))
    odd = [finding for finding in found.report.findings if finding.status != Status.PASSED]
    if odd:
        console.print(render_report(Report(found.report.hospital, tuple(odd))))
    console.print(f"{plural(found.report.count(Status.PASSED), 'check')} passed", highlight=False)
    if page:
        console.print(f"contact sheet: {page}", markup=False, highlight=False, soft_wrap=True)
    console.print(conclude(found.report), highlight=False)


def _print_json(report: "Report", consortium: "SimulatedConsortium | None" = None, page: Path | None = None) -> None:
    from simulations.analysis.dataset_record import describe_dataset

    told = report.to_json()
    content = {
        "status": told["status"],
        "dataset": describe_dataset(consortium).model_dump() if consortium else None,
        "findings": told["findings"],
        "page": str(page) if page else None,
    }
    print(json.dumps(content, indent=2, ensure_ascii=False))


@contextmanager
def _show_reading() -> Iterator[Callable[[int, int], None]]:
    """Show how many images have been read, if there is a terminal to show it on."""
    console = Console(stderr=True)
    columns = (TextColumn("reading images"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)
