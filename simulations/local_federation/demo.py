"""`make demo`: a federation of real processes from provisioning to a released model, by the operations guide."""

import json
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from client.rules.audit_log import AuditLog
from common.errors import InputError, RunError
from common.plan.training_plan import TrainingPlan
from common.processes.interruption import interrupt_once
from common.summary.summary import Summary
from common.summary.summary_file import read_summary
from server.runs.reading import latest_run
from simulations.local_federation.rehearsal import Rehearsal
from simulations.preflight.findings import require_fit
from simulations.preflight.machine import check_machine
from simulations.sites.consortium import load_consortium
from simulations.sites.export import hand_out

_MARK = ".rarefed-demo"
# The smallest hospital of the built-in data has 15 images, too few for the rules that a new hospital starts with.
_RULES = {"least_images": 8, "least_patients": 8, "suppress_below": 2}


def demonstrate(plan: TrainingPlan, folder: Path, runs: Path, say: Callable[[str], None]) -> Summary:
    """Run a whole federation on this machine and return its summary.

    Parameters
    ----------
    plan : TrainingPlan
        `data.*` and `study.*` say which hospital gets which images; the rest is what they train.
    folder : Path
        Gets the folders of consortium, server and hospitals; emptied first.
    runs : Path
        Where the run folder goes.
    say : callable
        Takes each line that is printed.

    Returns
    -------
    Summary
        Of the finished run.

    Raises
    ------
    InputError
        If the folder holds something else than an earlier demonstration, or plan or images cannot be used.
    RunError
        If any step fails.
    KeyboardInterrupt
        After Ctrl-C, SIGTERM, or when the terminal was closed; no process is left.
    """
    started = time.monotonic()

    def chapter(title: str) -> None:
        say(f"\n[{time.monotonic() - started:4.0f} s] {title}")

    for line in require_fit(check_machine(plan)):
        say(line)
    consortium = load_consortium(plan)
    _empty(folder)
    chapter(f"{len(consortium.sites)} hospitals get their images")
    images = hand_out(consortium, folder / "images")
    # A hospital of few images or patients would refuse to train on them.
    held = {
        "least_images": min(len(site.split.train) for site in consortium.sites),
        "least_patients": min(len({record.patient for record in site.split.train}) for site in consortium.sites),
    }
    rules = dict.fromkeys(images, _RULES | {key: min(_RULES[key], count) for key, count in held.items()})
    with interrupt_once(), Rehearsal(folder, images, say, runs, rules) as rehearsal:
        _bring_online(rehearsal, plan, consortium.dataset.classes, chapter)
        chapter("the coordinator launches the federation")
        if rehearsal.server.run(_plan_to_launch(plan, consortium.dataset.classes)):
            raise RunError(f"the federation failed; the logs are in {folder}")
        chapter("each hospital reads and verifies what was asked of it and what it sent")
        hospitals = rehearsal.hospitals.values()
        next(iter(hospitals)).command("audit", "show")
        for hospital in hospitals:
            hospital.command("audit", "verify")
        chapter("everyone stops")
        audit_logs = [AuditLog(hospital.folder / "state" / "audit.jsonl") for hospital in hospitals]
    view = latest_run(runs)
    assert view is not None
    run = view.folder
    say(_describe_rounds(run, audit_logs))
    chapter(f"done; the released model is in {run / 'model'}")
    return read_summary(run)


def _bring_online(
    rehearsal: Rehearsal, plan: TrainingPlan, classes: tuple[str, ...], chapter: Callable[[str], None]
) -> None:
    """Provision and start the server, have every hospital join, and start their daemons."""
    hospitals = rehearsal.hospitals.values()
    chapter("the coordinator provisions: CA, certificates, a start kit a hospital")
    rehearsal.provision()
    chapter("each hospital fills in hospital.yaml and makes its own key; the coordinator approves it")
    for hospital in hospitals:
        rehearsal.join(hospital.name)
        # The split is the hospital's own to choose; here it chooses as the plan of a simulation would.
        split = {key: getattr(plan.data, key) for key in ("split", "test_fraction", "fold")}
        hospital.change({"data": split, "rules": {"classes": list(classes)}})
    chapter("the server starts")
    rehearsal.server.start()
    chapter("each hospital checks its machine, its connection and its images")
    for hospital in hospitals:
        hospital.command("check")
    chapter("the daemons start")
    for hospital in hospitals:
        hospital.start()
    for hospital in hospitals:
        hospital.wait_online()
    rehearsal.server.command("status")


def _empty(folder: Path) -> None:
    """Remove what an earlier demonstration left; a folder with anything else is an `InputError`."""
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise InputError(f"{folder} holds something else than a demonstration: choose another with --folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _MARK).touch()


def _describe_rounds(run: Path, audit_logs: Sequence[AuditLog]) -> str:
    """Say how long rounds took, and how much of that was not the work of the slowest hospital.

    The first round also fills caches.
    """
    rounds = [json.loads(line) for line in (run / "rounds.jsonl").read_text().splitlines()]
    trained = [record for log in audit_logs for record in log.records() if record["event"] == "trained"]
    beyond = [
        entry["seconds"] - max(record["seconds"] for record in trained if record["round"] == entry["round"])
        for entry in rounds
    ]
    took = ", ".join(f"{entry['seconds']:.0f}" for entry in rounds)
    return (
        f"\nrounds took {took} s; beyond the slowest hospital's work on its message "
        f"{', '.join(f'{seconds:.0f}' for seconds in beyond)} s"
    )


def _plan_to_launch(plan: TrainingPlan, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return the plan's changed keys, without those of the images on this machine and of studies."""
    defaults = TrainingPlan().flat()
    changed = {key: value for key, value in plan.flat().items() if value != defaults[key]}
    columns = ("data.label_column", "data.site_column", "data.split_column", "data.patient_column")
    local = ("data.path", "data.patient_pattern", *columns)
    asked = {key: value for key, value in changed.items() if key not in local and not key.startswith("study.")}
    return asked | {"data.classes": ",".join(classes), "study.name": "demo"}
