"""The commands `rarefed-hospital start` and `rarefed-hospital status`."""

import json
import time
from datetime import datetime
from typing import Any

import typer

from client.cli.options import AS_JSON, DEFAULT_FILE, FILE, require_own_state
from common.system.wording import printable


def register(app: typer.Typer) -> None:
    """Add the commands to `rarefed-hospital`."""
    app.command()(start)
    app.command()(status)


def start(file: FILE = DEFAULT_FILE) -> None:
    """Run the daemon in the foreground; it takes part in federations until SIGTERM or Ctrl-C."""
    from client.daemon.daemon import Daemon
    from client.rules.hospital_file import read_hospital_file

    hospital = read_hospital_file(file)
    require_own_state(hospital)
    hospital.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    Daemon(hospital, lambda line: print(f"{datetime.now():%H:%M:%S} {line}", flush=True)).run()


def status(file: FILE = DEFAULT_FILE, as_json: AS_JSON = False) -> None:
    """Say whether the daemon runs and the server hears of it; exit code 1 if not."""
    from client.daemon.status import daemon_runs, read_status
    from client.rules.audit_log import AuditLog
    from client.rules.hospital_file import read_hospital_file

    hospital = read_hospital_file(file)
    runs, told = daemon_runs(hospital.state), read_status(hospital.state)
    last = next((record for record in AuditLog(hospital.audit_log).latest() if "kind" in record), None)
    if as_json:
        print(json.dumps({"running": runs, **told, "last_request": last}, indent=2))
    elif not runs:
        print(f"{hospital.name}: the daemon does not run; start it with `rarefed-hospital start`")
    else:
        _print_status(hospital.name, hospital.server, told, last)
    if not (runs and told.get("online")):
        raise typer.Exit(1)


def _print_status(name: str, server: str, told: dict[str, Any], last: dict[str, Any] | None) -> None:
    from client.exposure.plan_approval import tell_waiting

    minutes = (time.time() - told.get("since", time.time())) / 60
    online = "online" if told.get("online") else "offline"
    print(f"{name}: {online} at {server}, daemon up for {minutes:.0f} min")
    if told.get("problem"):
        print(printable(f"problem: {told['problem']}"))
    for program, process in told.get("processes", {}).items():
        print(f"{program}: {'running' if process['pid'] else 'starting'}, restarted {process['restarts']} times")
    if told.get("waiting_plans"):
        print(tell_waiting(told["waiting_plans"]))
    if last:
        print(printable(f"last: {last['event']} ({last.get('kind', '')}) at {last['time']}"))
