"""The commands of the daemon and of what it writes down: start, status, preview, audit."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from client.rules.hospital_file import HospitalFile, read_hospital_file
from common.errors import RunError
from common.plan.toml_file import read_plan_file
from common.plan.training_plan import TrainingPlan

FILE = Annotated[Path, typer.Option("--file", help="The hospital's own file.", envvar="RAREFED_HOSPITAL_FILE")]
AS_JSON = Annotated[bool, typer.Option("--json", help="For machines.")]
DEFAULT_FILE = Path("hospital.yaml")
_LONGEST_VALUE = 60
_WIDTH = 100

audit_app = typer.Typer(help="The log of what was asked, decided and sent.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to `rarefed-hospital`."""
    app.command()(start)
    app.command()(status)
    app.command()(preview)
    app.add_typer(audit_app, name="audit")


def start(file: FILE = DEFAULT_FILE) -> None:
    """Run the daemon in the foreground; it takes part in federations until SIGTERM or Ctrl-C."""
    from client.daemon.daemon import Daemon

    hospital = read_hospital_file(file)
    hospital.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    Daemon(hospital, lambda line: print(f"{datetime.now():%H:%M:%S} {line}", flush=True)).run()


def status(file: FILE = DEFAULT_FILE, as_json: AS_JSON = False) -> None:
    """Say whether the daemon runs and the server hears of it; exit code 1 if not."""
    from client.daemon.daemon import running, status_file

    hospital = read_hospital_file(file)
    alive, told = running(hospital), _read_json(status_file(hospital))
    last = _last_request(hospital)
    if as_json:
        print(json.dumps({"running": alive, **told, "last_request": last}, indent=2))
    elif not alive:
        print(f"{hospital.name}: the daemon does not run; start it with `rarefed-hospital start`")
    else:
        minutes = (time.time() - told.get("since", time.time())) / 60
        online = "online" if told.get("online") else "offline"
        print(f"{hospital.name}: {online} at {hospital.server}, daemon up for {minutes:.0f} min")
        if told.get("problem"):
            print(f"problem: {told['problem']}")
        for name, process in told.get("processes", {}).items():
            print(f"{name}: {'running' if process['pid'] else 'starting'}, restarted {process['restarts']} times")
        if last:
            print(f"last: {last['event']} ({last.get('kind', '')}) at {last['time']}")
    if not (alive and told.get("online")):
        raise typer.Exit(1)


def preview(
    plan: Annotated[Path | None, typer.Option(help="A plan as TOML. [default: the defaults]")] = None,
    file: FILE = DEFAULT_FILE,
    as_json: AS_JSON = False,
) -> None:
    """Train one round on this hospital's images and show exactly what would leave. Nothing does."""
    from client.runner.preview import preview as answers

    hospital = read_hospital_file(file)
    previews = answers(hospital, read_plan_file(plan) if plan else TrainingPlan())
    if as_json:
        print(json.dumps([asdict(each) for each in previews], indent=2))
        return
    console = Console(width=_WIDTH)
    for each in previews:
        table = Table(title=f"Answer to {each.kind}", title_justify="left", show_header=False)
        if each.refused:
            table.add_row("instead of an answer", each.refused)
            table.add_row("stays here", each.details)
        for key, value in each.told.items():
            for row in _rows(key, value):
                table.add_row(*row)
        for key in each.withheld:
            table.add_row(key, "withheld by the rules")
        console.print(table)


@audit_app.command("show")
def show(
    file: FILE = DEFAULT_FILE,
    last: Annotated[int, typer.Option(help="How many records; 0: all.", min=0)] = 20,
    as_json: AS_JSON = False,
) -> None:
    """Show the last records."""
    from client.rules.audit_log import AuditLog

    records = list(AuditLog(read_hospital_file(file).audit_log).records())[-last:]
    if as_json:
        print(json.dumps(records, indent=2))
        return
    table = Table("", "time (UTC)", "event", "asked", "rule / failure", "sent")
    for record in records:
        asked = " ".join(str(record[key]) for key in ("kind", "round", "split") if key in record)
        sent = f"{record['bytes_sent'] / 1e6:.2f} MB" if "bytes_sent" in record else ""
        verdict = record.get("rule", record.get("failure", ""))
        table.add_row(str(record["record"]), record["time"][:19], record["event"], asked, verdict, sent)
    Console(width=_WIDTH).print(table)


@audit_app.command("verify")
def verify(file: FILE = DEFAULT_FILE, as_json: AS_JSON = False) -> None:
    """Check the chain of hashes; exit code 2 and the record's number if it is broken."""
    from client.rules.audit_log import AuditLog

    head = AuditLog(read_hospital_file(file).audit_log).verify()
    if as_json:
        print(json.dumps(asdict(head)))
    else:
        print(f"{head.records} records, unbroken; head {head.hash}")


def _rows(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield f"{key}: {name}", str(part)
    elif isinstance(value, list) and len(str(value)) > _LONGEST_VALUE:
        # A score histogram is mostly zeros.
        filled = {place: count for place, count in enumerate(value) if count}
        counts = ", ".join(f"[{place}] {count}" for place, count in filled.items())
        yield key, f"{len(value)} counts, all 0 but {counts}"
    else:
        yield key, str(value)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _last_request(hospital: HospitalFile) -> dict[str, Any] | None:
    from client.rules.audit_log import AuditLog

    asked = [record for record in AuditLog(hospital.audit_log).records() if "kind" in record]
    return asked[-1] if asked else None
