"""`rarefed-server status`: the server's processes, the hospitals and the current run, gathered and drawn."""

import json
from collections.abc import Container
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from common.errors import RunError
from server.flower.control_api import Control
from server.flower.nodes_and_runs import Node
from server.members.consortium import Consortium
from server.members.hospital import Hospital, explain_absence
from server.members.registry import Registry
from server.members.server_folder import ServerFolder
from server.processes.start_checks import is_running
from server.runs.reading import RunView, latest_run
from server.runs.run_display import describe_answer, draw_run


def gather_status(folder: ServerFolder, consortium: Consortium, control: Control) -> dict[str, Any]:
    """Return the state of server, hospitals and current run as JSON values, also when the server is down.

    Parameters
    ----------
    folder : ServerFolder
        Folder of the server.
    consortium : Consortium
        Its consortium file.
    control : Control
        Asked only while the server runs.
    """
    running = is_running(folder)
    hospitals, damaged = Registry(folder).survey()
    trouble, nodes, statuses = None, [], {}
    if running:
        try:
            nodes = control.list_nodes()
            statuses = {run.id: run for run in control.list_runs()}
        except RunError as error:
            trouble = str(error)
    view = latest_run(folder.root / consortium.server.runs)
    named = {entry.name for entry in consortium.hospitals}
    run = statuses.get(view.run_id) if view and view.run_id is not None else None
    return {
        "running": running,
        "trouble": trouble,
        "server": _server(folder) if running else None,
        "hospitals": [
            *(_hospital(hospital, nodes, view, named) for hospital in hospitals.values()),
            *(_damaged(name, why) for name, why in damaged.items()),
        ],
        "run": _run(view, run.status if run else None) if view else None,
    }


def draw_status(status: dict[str, Any]) -> RenderableType:
    """Return tables of what `gather_status` found."""
    parts: list[RenderableType] = []
    if not status["running"]:
        parts.append(Text("the server is not running: `rarefed-server start`", style="bold red"))
    if status["trouble"]:
        parts.append(Text(status["trouble"], style="bold red"))
    if status["server"]:
        parts.append(_program_table(status["server"]))
    parts.append(_hospital_table(status["hospitals"]))
    if status["run"]:
        run = status["run"]
        known = {name: run[name] for name in ("run_id", "planned", "hospitals", "rounds", "waiting")}
        view = RunView(Path(run["folder"]), summary=None, **known)
        parts.append(draw_run(run["run_id"], run["status"], view))
    return Group(*parts)


def _server(folder: ServerFolder) -> dict[str, Any] | None:
    try:
        written: dict[str, Any] = json.loads(folder.status.read_bytes())
    except (OSError, ValueError):
        return None  # it is starting
    return written


def _hospital(hospital: Hospital, nodes: list[Node], view: RunView | None, named: Container[str]) -> dict[str, Any]:
    node = next((node for node in nodes if node.id == hospital.node_id), None)
    answer = view.hospitals.get(hospital.name) if view else None
    seen = node and (datetime.now(UTC) if node.status == "online" else node.deactivated or node.activated)
    return {
        "name": hospital.name,
        "state": hospital.state,
        "connection": node.status if node else None,
        "last_seen": seen.isoformat(timespec="seconds") if seen else None,
        "version": answer.get("version") if answer else None,
        "plan": explain_absence(hospital, named) or (describe_answer(answer) if answer else None),
    }


def _damaged(name: str, why: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("connection", "last_seen", "version"))
    return {"name": name, "state": "damaged", **nothing, "plan": f"takes no part: {why}"}


def _run(view: RunView, status: str | None) -> dict[str, Any]:
    known = asdict(view) | {"folder": str(view.folder)}
    return known | {"status": status or ("interrupted" if view.folder.suffix == ".unfinished" else "completed")}


def _program_table(server: dict[str, Any]) -> Table:
    table = Table("process", "pid", "state", "up since", "restarts", "last exit", box=None, header_style="dim")
    for name, program in server["programs"].items():
        since = datetime.fromtimestamp(program["since"]).isoformat(" ", "seconds") if program["since"] else ""
        state = "running" if program["ready"] else "starting" if program["pid"] else "down"
        table.add_row(
            name, str(program["pid"] or ""), state, since, str(program["restarts"]), program["last_exit"] or ""
        )
    return table


def _hospital_table(hospitals: list[dict[str, Any]]) -> Table:
    table = Table("hospital", "state", "connection", "last seen", "version", "plan", box=None, header_style="dim")
    keys = ("name", "state", "connection", "last_seen", "version", "plan")
    for hospital in hospitals:
        table.add_row(*(Text(str(hospital[key] or "")) for key in keys))
    return table
