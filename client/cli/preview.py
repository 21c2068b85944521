"""The command `rarefed-hospital preview`."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from client.cli.options import AS_JSON, DEFAULT_FILE, FILE, TABLE_WIDTH, read_own_file
from common.system.command_line import table_console
from common.system.wording import printable

if TYPE_CHECKING:
    from rich.table import Table

    from client.runner.preview import Preview

_LONGEST_VALUE = 60


def register(app: typer.Typer) -> None:
    """Add the command to `rarefed-hospital`."""
    app.command()(preview)


def preview(
    plan: Annotated[Path | None, typer.Option(help="A plan as TOML. [default: the defaults]")] = None,
    file: FILE = DEFAULT_FILE,
    as_approved: Annotated[
        bool, typer.Option("--as-approved", help="As if a person here had approved the plan (rules.plans).")
    ] = False,
    as_json: AS_JSON = False,
) -> None:
    """Train one round on this hospital's images and show exactly what would leave. Nothing does.

    Exit code 1 if any answer would be a refusal or a failure.
    """
    from client.runner.preview import preview as preview_answers
    from common.plan.toml_file import read_plan_file
    from common.plan.training_plan import TrainingPlan

    hospital = read_own_file(file)
    asked = read_plan_file(plan) if plan else TrainingPlan()
    previews = preview_answers(hospital, asked, as_approved=as_approved)
    if as_json:
        print(json.dumps([asdict(each) for each in previews], indent=2))
    else:
        console = table_console(TABLE_WIDTH)
        for each in previews:
            console.print(_table(each))
    if any(each.refused for each in previews):
        raise typer.Exit(1)


def _table(preview: "Preview") -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"Answer to {preview.kind}", title_justify="left", show_header=False)
    if preview.refused:
        table.add_row("instead of an answer", preview.refused)
    if preview.details:
        # Text, not str: a file's name in square brackets would be taken for markup.
        table.add_row("stays here", Text(printable(preview.details)))
    for key, value in preview.told.items():
        for row in _rows(key, value):
            table.add_row(*map(Text, row))
    for key in preview.withheld:
        table.add_row(key, "not told: by the rules, or for want of images")
    return table


def _rows(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield f"{key}: {name}", str(part)
    elif isinstance(value, list) and len(str(value)) > _LONGEST_VALUE:
        # A score histogram is mostly zeros.
        filled = {place: count for place, count in enumerate(value) if count}
        counts = ", ".join(f"[{place}] {count}" for place, count in filled.items())
        yield key, f"{len(value)} counts, all 0 but {len(filled)}, which make {sum(filled.values())}: {counts}"
    else:
        yield key, str(value)
