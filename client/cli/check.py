"""The command `rarefed-hospital check`."""

import json
import sys
from typing import Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from client.cli.options import AS_JSON, DEFAULT_FILE, FILE, TABLE_WIDTH, read_own_file
from client.preflight.findings import Finding, Report, Status
from common.system.command_line import table_console
from common.system.wording import plural

STRICT = Annotated[bool, typer.Option("--strict", help="Warnings too give exit code 1.")]
OFFLINE = Annotated[bool, typer.Option("--offline", help="Leave the network out.")]

_MARKS = {
    Status.PASSED: Text("ok", style="green"),
    Status.WARN: Text("warn", style="yellow"),
    Status.FAILED: Text("FAILED", style="bold red"),
}


def register(app: typer.Typer) -> None:
    """Add the command to `rarefed-hospital`."""
    app.command()(check)


def check(
    file: FILE = DEFAULT_FILE, as_json: AS_JSON = False, strict: STRICT = False, offline: OFFLINE = False
) -> None:
    """Check this machine, the connection and the images.

    Exit code 1 if something failed, 2 if hospital.yaml is missing or wrong.
    """
    from client.preflight.checks import check_hospital
    from client.runner.image_checks import check_images_confined

    hospital = read_own_file(file)
    if sys.stderr.isatty():
        print("reading images ...", file=sys.stderr)
    report = check_hospital(hospital, check_images_confined, offline=offline)
    if as_json:
        print(json.dumps(report.to_json(), indent=2))
    else:
        console = table_console(TABLE_WIDTH)
        console.print(render_report(report), width=min(console.width, TABLE_WIDTH))
        console.print(conclude(report))
    raise typer.Exit(report.exit_code(strict))


def render_report(report: Report) -> Table:
    """Return a report as a table that fits 100 columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), title=f"Preflight of {report.hospital}", title_justify="left")
    table.add_column("check", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("found, and how to mend it", overflow="fold")
    for finding in report.findings:
        table.add_row(Text(finding.check), _MARKS[finding.status], _tell(finding))
    return table


def _tell(finding: Finding) -> Text:
    # Text, not str: a file's name in square brackets would be taken for markup.
    told = Text(finding.found)
    if finding.mend:
        told.append(f"\n-> {finding.mend}", style="dim")
    return told


def conclude(report: Report) -> str:
    """Return the sentence below a report's table."""
    warnings, failures = plural(report.count(Status.WARN), "warning"), report.count(Status.FAILED)
    if failures:
        return f"{plural(failures, 'check')} failed, {warnings}: mend what failed, and check again."
    return f"Ready, with {warnings}." if report.worst == Status.WARN else "Ready."
