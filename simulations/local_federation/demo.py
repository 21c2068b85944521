"""`make demo`: from nothing to a released model over real processes, by the commands of the operations guide."""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from client.rules.audit_log import AuditLog
from common.errors import InputError, RunError
from common.plan.training_plan import TrainingPlan
from common.summary.summary import Summary
from common.summary.summary_file import read_summary
from simulations.local_federation.rehearsal import Rehearsal
from simulations.sites.consortium import load_consortium
from simulations.sites.export import hand_out

_MARK = ".rarefed-demo"
# The built-in data have a hospital of 15 images, and its rules must let it take part.
_RULES = {"least_images": 8, "suppress_below": 2}


def demonstrate(plan: TrainingPlan, folder: Path, runs: Path, say: Callable[[str], None]) -> Summary:
    """Run a whole federation on this machine and return its summary.

    Parameters
    ----------
    plan : TrainingPlan
        `data.*` and `study.*` say which images become which hospitals'; the rest is what they train.
    folder : Path
        Where consortium, server and hospitals get their folders; emptied first.
    runs : Path
        Where the run folder goes.
    say : callable
        Takes each line.

    Raises
    ------
    RunError
        If any step fails.
    """
    started = time.monotonic()

    def chapter(title: str) -> None:
        say(f"\n[{time.monotonic() - started:4.0f} s] {title}")

    _empty(folder)
    consortium = load_consortium(plan)
    chapter(f"{len(consortium.sites)} hospitals get their images")
    images = hand_out(consortium, folder / "images")
    rules = dict.fromkeys(images, _RULES)
    with Rehearsal(folder, images, say, runs, rules) as rehearsal:
        chapter("the coordinator provisions: CA, certificates, a start kit a hospital")
        rehearsal.provision()
        chapter("each hospital fills in hospital.yaml and makes its own key; the coordinator approves it")
        for hospital in rehearsal.hospitals:
            rehearsal.join(hospital)
        chapter("the server starts")
        rehearsal.start_server()
        chapter("each hospital checks its machine, its connection and its images")
        for hospital in rehearsal.hospitals:
            rehearsal.hospital(hospital, "check")
        chapter("the daemons start")
        for hospital in rehearsal.hospitals:
            rehearsal.start_hospital(hospital)
        for hospital in rehearsal.hospitals:
            rehearsal.wait_online(hospital)
        rehearsal.server("status")
        chapter("the coordinator launches the federation")
        if rehearsal.run(_asked(plan, consortium.dataset.classes)):
            raise RunError(f"the federation failed; the logs are in {folder}")
        chapter("each hospital reads and verifies what was asked of it and what it sent")
        rehearsal.hospital(rehearsal.hospitals[0], "audit", "show")
        for hospital in rehearsal.hospitals:
            rehearsal.hospital(hospital, "audit", "verify")
        chapter("everyone stops")
        work = {hospital: AuditLog(rehearsal.place(hospital) / "state" / "audit.jsonl") for hospital in images}
    run = (runs / "latest").resolve()
    say(_describe_rounds(run, work))
    chapter(f"done; the released model is in {run / 'model'}")
    return read_summary(run)


def _empty(folder: Path) -> None:
    """Remove what an earlier demonstration left, and nothing else."""
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise InputError(f"{folder} holds something else than a demonstration: choose another with --folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _MARK).touch()


def _describe_rounds(run: Path, work: Mapping[str, AuditLog]) -> str:
    """Say what a round costs beyond the work of the slowest hospital; the first round also fills caches."""
    rounds = [json.loads(line) for line in (run / "rounds.jsonl").read_text().splitlines()]
    trained = [record for log in work.values() for record in log.records() if record["event"] == "trained"]
    beyond = [
        entry["seconds"] - max(record["seconds"] for record in trained if record["round"] == entry["round"])
        for entry in rounds
    ]
    took = ", ".join(f"{entry['seconds']:.0f}" for entry in rounds)
    return (
        f"\nrounds took {took} s; beyond the slowest hospital's work on its message "
        f"{', '.join(f'{seconds:.0f}' for seconds in beyond)} s"
    )


def _asked(plan: TrainingPlan, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return the plan's changed keys without those that say where this machine's images are."""
    defaults = TrainingPlan().flat()
    changed = {key: value for key, value in plan.flat().items() if value != defaults[key]}
    local = ("data.path", "data.label_column", "data.site_column", "data.patient_column", "data.patient_pattern")
    kept = {key: value for key, value in changed.items() if key not in local and not key.startswith("study.")}
    return kept | {"data.classes": ",".join(classes), "study.name": "demo"}
