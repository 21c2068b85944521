"""Federations inside one real Flower simulation; `test_battery.py` runs this as a program and judges what it prints.

One Ray cluster serves all of them, since starting Ray takes longer than a round of a small network.
"""

import json
import secrets
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from flwr.app import Context, Message
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation

from common.errors import RunError
from common.models.classifier import build_model
from common.models.tail_layout import TailLayout, tail_digest
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from server.rounds.federation import Federation
from server.rounds.messaging import Member
from server.rounds.observer import RequireAllHospitals
from server.rounds.state import FederationResult, FederationState
from simulations.client_app import app as client_app
from simulations.sites.consortium import load_consortium
from simulations.study.workers import LayerFolderTransport


class LosingGrid:
    """A grid that takes one site's images away after the hospitals have introduced themselves."""

    def __init__(self, grid: Grid, images: Sequence[Path]) -> None:
        self._grid = grid
        self._images = images
        self._pushes = 0

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        self._pushes += 1
        if self._pushes == 2:
            for image in self._images:
                image.unlink()
        return self._grid.push_messages(messages)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._grid, name)


def federate(
    grid: Grid, layers: Path, changes: dict[str, Any], order: Sequence[int] | None = None, lost_site: int | None = None
) -> FederationResult:
    plan = TrainingPlan.from_flat(changes)
    consortium = load_consortium(plan)
    model = build_model(plan, len(consortium.dataset.classes))
    layout = TailLayout.of(model.tail, plan)
    nodes = sorted(grid.get_node_ids())
    numbers = list(order or range(len(consortium.sites)))
    members = [Member(nodes[index % len(nodes)], {messages.SITE: number}) for index, number in enumerate(numbers)]
    if lost_site is not None:
        lost = consortium.sites[lost_site].split.train
        grid = LosingGrid(grid, [Path(plan.data.path) / record.name for record in lost])  # type: ignore[assignment]
    federation = Federation(
        LayerFolderTransport(grid, layers),
        plan,
        classes=len(consortium.dataset.classes),
        layout=layout,
        trunk_digest=model.trunk_digest,
        present=lambda: members,
        observer=RequireAllHospitals(),
    )
    return federation.run(FederationState(layout.pack(model.tail), secrets.token_hex(8)))


def tell(result: FederationResult) -> dict[str, Any]:
    return {
        "digest": tail_digest(result.tail),
        "rounds": len(result.rounds),
        "sites": sorted(result.test),
        "tested": {site: score.images for site, score in result.test.items()},
        "confusion": {site: score.confusion.tolist() for site, score in result.test.items()},
        "images": {name: site.images for name, site in result.rounds[0].sites.items()},
        "norms": {name: site.change_norm for name, site in result.rounds[0].sites.items()},
        "failures": result.rounds[0].failures,
    }


def main(tasks: list[dict[str, Any]], layers: Path, answers: dict[str, Any]) -> None:
    server_app = ServerApp()

    @server_app.main()
    def _run(grid: Grid, context: Context) -> None:
        for task in tasks:
            try:
                outcome = federate(grid, layers, task["changes"], task.get("order"), task.get("lost_site"))
                answers[task["name"]] = tell(outcome)
            except RunError as error:
                answers[task["name"]] = {"error": str(error)}

    resources = {"client_resources": {"num_cpus": 1, "num_gpus": 0.0}, "init_args": {"num_cpus": 2}}
    run_simulation(server_app, client_app, num_supernodes=3, backend_config=resources)


if __name__ == "__main__":
    found: dict[str, Any] = {}
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]).with_name("layers"), found)
    Path(sys.argv[2]).write_text(json.dumps(found))
