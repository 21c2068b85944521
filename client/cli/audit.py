"""The commands `rarefed-hospital audit show` and `rarefed-hospital audit verify`."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from client.cli.options import AS_JSON, DEFAULT_FILE, FILE, TABLE_WIDTH
from common.system.command_line import table_console

audit_app = typer.Typer(help="The log of what was asked, decided and sent.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to `rarefed-hospital`."""
    app.add_typer(audit_app, name="audit")


@audit_app.command("show")
def show(
    file: FILE = DEFAULT_FILE,
    last: Annotated[int, typer.Option(help="How many records; 0: all.", min=0)] = 20,
    as_json: AS_JSON = False,
) -> None:
    """Show the last records."""
    from rich.table import Table

    from client.rules.audit_log import AuditLog
    from client.rules.hospital_file import read_hospital_file

    records = list(AuditLog(read_hospital_file(file).audit_log).records())[-last:]
    if as_json:
        print(json.dumps(records, indent=2))
        return
    table = Table("", "time (UTC)", "event", "asked", "rule / failure", "sent")
    for record in records:
        asked = " ".join(str(record[key]) for key in ("kind", "round", "split") if key in record)
        sent = f"{record['bytes_sent'] / 1e6:.2f} MB" if "bytes_sent" in record else ""
        reason = record.get("rule", record.get("failure", ""))
        table.add_row(str(record["record"]), record["time"][:19], record["event"], asked, reason, sent)
    table_console(TABLE_WIDTH).print(table)


@audit_app.command("verify")
def verify(file: FILE = DEFAULT_FILE, as_json: AS_JSON = False) -> None:
    """Check the chain of hashes; exit code 2 and the record's number if it is broken."""
    from client.rules.audit_log import AuditLog
    from client.rules.hospital_file import read_hospital_file

    head = AuditLog(read_hospital_file(file).audit_log).verify()
    if as_json:
        print(json.dumps(asdict(head)))
    else:
        print(f"{head.records} records, unbroken; head {head.hash}")
