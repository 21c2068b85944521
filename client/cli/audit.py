"""The commands `rarefed-hospital audit show` and `rarefed-hospital audit verify`."""

import json
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from client.cli.options import AS_JSON, DEFAULT_FILE, FILE, TABLE_WIDTH
from common.system.command_line import table_console

if TYPE_CHECKING:
    from rich.table import Table

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
    """Show the last records; exit code 2 if the log is damaged, as `audit verify`."""
    from client.rules.audit_log import AuditLog
    from client.rules.hospital_file import read_hospital_file

    log = AuditLog(read_hospital_file(file).audit_log)
    records = list(islice(log.latest(), last or None))[::-1]
    if as_json:
        print(json.dumps(records, indent=2))
    else:
        table_console(TABLE_WIDTH).print(_table(records))
    log.verify()


def _table(records: list[dict[str, Any]]) -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "time (UTC)", "event", "asked", "images", "rule / failure", "sent")
    for record in records:
        asked = " ".join(str(record[key]) for key in ("kind", "round", "split") if key in record)
        sent = f"{record['bytes_sent'] / 1e6:.2f} MB" if isinstance(record.get("bytes_sent"), int) else ""
        reason = record.get("rule", record.get("failure", ""))
        # A log may have been changed, and older ones hold words as the server sent them.
        time, images = str(record.get("time", ""))[:19], record.get("images", "")
        cells = (record.get("record", ""), time, record.get("event", ""), asked, images, reason)
        table.add_row(*(escape(ascii(str(cell))[1:-1]) for cell in cells), sent)
    return table


@audit_app.command("verify")
def verify(
    head: Annotated[
        list[str] | None, typer.Option(help="A head that the log once had, RECORDS:HASH; may be given again.")
    ] = None,
    file: FILE = DEFAULT_FILE,
    as_json: AS_JSON = False,
) -> None:
    """Check the chain of hashes; exit code 2 and the record's number if it is broken, or does not reach a head."""
    from client.rules.audit_log import AuditHead, AuditLog
    from client.rules.hospital_file import read_hospital_file

    found = AuditLog(read_hospital_file(file).audit_log).verify(*map(AuditHead.read, head or []))
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        print(f"{found.records} records, unbroken; head {found}")
