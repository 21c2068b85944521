"""The commands `rarefed-hospital plans` and `rarefed-hospital approve-plan`."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from client.cli.options import AS_JSON, DEFAULT_FILE, FILE, TABLE_WIDTH
from common.errors import InputError
from common.system.command_line import confirm, table_console

if TYPE_CHECKING:
    from client.exposure.plan_approval import AskedPlan


def register(app: typer.Typer) -> None:
    """Add the commands to `rarefed-hospital`."""
    app.command()(plans)
    app.command("approve-plan")(approve_plan)


def plans(file: FILE = DEFAULT_FILE, as_json: AS_JSON = False) -> None:
    """List the plans that were asked for: what they change of rarefed's defaults, and whether they are approved."""
    from client.exposure.plan_approval import AskedPlans
    from client.rules.hospital_file import read_hospital_file

    hospital = read_hospital_file(file)
    asked = AskedPlans(hospital.plans).listed()
    if as_json:
        print(json.dumps([plan._asdict() for plan in asked], indent=2))
        return
    needed = hospital.rules.plans == "approved"
    print(f"rules.plans is {hospital.rules.plans}: {'each plan needs' if needed else 'no plan needs'} an approval")
    for plan in asked:
        _show(plan)


def approve_plan(
    digest: Annotated[str, typer.Argument(help="Of the plan; its first sixteen digits are enough.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    file: FILE = DEFAULT_FILE,
) -> None:
    """Show a plan that was asked for, and allow it."""
    from client.exposure.plan_approval import AskedPlans
    from client.rules.hospital_file import read_hospital_file

    asked = AskedPlans(read_hospital_file(file).plans)
    plan = asked.find(digest)
    _show(plan)
    if not yes and not confirm("Approve it?", "--yes"):
        raise InputError("not approved")
    asked.approve(plan.digest)
    print(f"approved {plan.digest}")


def _show(plan: "AskedPlan") -> None:
    from rich.markup import escape
    from rich.table import Table

    title = f"{plan.digest[:16]}  {'approved' if plan.approved else 'not approved'}"
    table = Table(title=title, title_justify="left", show_header=False)
    for key, value in plan.changes.items():
        # The server chose the texts.
        table.add_row(key, escape(ascii(value) if isinstance(value, str) else str(value)))
    if not plan.changes:
        table.add_row("the defaults", "")
    table_console(TABLE_WIDTH).print(table)
