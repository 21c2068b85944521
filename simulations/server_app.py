"""The simulation's ServerApp: the federation, then the arms it is compared with, then the run folder."""

import os
import time
from pathlib import Path
from typing import Any

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from rich.console import Console

from common.errors import RarefedError
from common.files import write_text_atomically
from common.plan import TrainingPlan
from common.scoring import Score
from server.federation import RoundReport
from server.run_folder import RUN_FOLDER_VARIABLE, RunFolder, reserve_run
from simulations.arms import Arm, Moment, Workshop, run_centralized, run_federated, run_local
from simulations.hospitals import Hospitals, load_hospitals
from simulations.progress import Progress
from simulations.report import write_report
from simulations.results import moment_entry, predictions_csv, summarise
from simulations.table import TABLE_WIDTH, render_table

_EPOCHS_A_LINE = 4

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run all arms of the plan in Flower's run config and write the run folder."""
    plan = TrainingPlan.from_flat(dict(context.run_config))
    hospitals = load_hospitals(plan)
    with RunFolder(_run_path(plan, hospitals)) as folder:
        run = SimulationRun(plan, hospitals, folder)
        try:
            run.compare(grid)
        except Exception as error:
            # Flower marks the run as failed and prints the traceback; the folder keeps the reason in one line.
            folder.log(f"error: {error if isinstance(error, RarefedError) else repr(error)}")
            raise


class SimulationRun:
    """One comparison from data to report."""

    def __init__(self, plan: TrainingPlan, hospitals: Hospitals, folder: RunFolder) -> None:
        self._plan = plan
        self._hospitals = hospitals
        self._folder = folder
        self._progress = Progress(_total_passes(plan, hospitals), self._emit)

    def compare(self, grid: Grid) -> None:
        """Train all arms and write the run's files."""
        started = time.monotonic()
        self._folder.write_plan(self._plan)
        for line in describe(self._hospitals, self._plan):
            self._progress.say(line)
        shop = Workshop(self._plan, self._hospitals)
        arms: dict[str, Arm] = {}
        federation = None
        for name in self._plan.study.arm_names:
            if name == "federated":
                arms[name], federation = run_federated(shop, grid, self._after_round)
                metadata = {"plan_digest": self._plan.digest, "trunk_digest": shop.trainer.model.trunk_digest}
                self._folder.write_tail("federated", arms[name].models[""].tail, shop.layout, metadata)
            elif name == "centralized":
                arms[name] = run_centralized(shop, self._after_centralized_pass)
            else:
                arms[name] = run_local(shop, self._after_local_pass)
        wall_s = time.monotonic() - started
        summary = summarise(self._plan, self._hospitals, shop.trainer.model, shop.layout, arms, federation, wall_s)
        write_text_atomically(self._folder.path / "predictions.csv", predictions_csv(self._hospitals, arms))
        self._folder.write_json("summary.json", summary)
        write_report(self._folder.path)
        self._show(summary)

    def _after_round(self, report: RoundReport) -> None:
        rounds = self._plan.federation.rounds
        sites = ", ".join(f"{name} {site.train_loss:.3f}" for name, site in report.sites.items())
        start = f"; start scored {_say_score(report.score)}" if report.score and report.score.images else ""
        text = f"federated round {report.round}/{rounds}: loss {report.train_loss:.3f} ({sites}){start}"
        for site, reason in report.failures.items():
            text += f"; {site} left out: {reason}"
        passes = self._plan.federation.local_epochs * sum(site.images for site in report.sites.values())
        self._progress.step(passes, text)
        self._folder.append_round(
            {
                "arm": "federated",
                "round": report.round,
                "seconds": round(report.seconds, 3),
                "train_loss": report.train_loss,
                "sites": {
                    name: {"images": site.images, "train_loss": site.train_loss, "change_norm": site.change_norm}
                    for name, site in report.sites.items()
                },
                "left_out": report.failures,
                "start": moment_entry(Moment((report.round - 1) / rounds, None, report.score)),
            }
        )

    def _after_centralized_pass(self, pass_index: int, moment: Moment) -> None:
        self._after_pass("centralized", "", pass_index, moment, len(self._hospitals.pooled("train")))

    def _after_local_pass(self, site: str, pass_index: int, moment: Moment) -> None:
        images = next(len(s.split.train) for s in self._hospitals.sites if s.name == site)
        self._after_pass("local", site, pass_index, moment, images)

    def _after_pass(self, arm: str, site: str, pass_index: int, moment: Moment, passes: int) -> None:
        epochs = self._plan.study.centralized_epochs
        scored = (
            f", validation {_say_score(moment.validation)}" if moment.validation and moment.validation.images else ""
        )
        name = f"{arm} {site}".strip()
        text = f"{name} epoch {pass_index + 1}/{epochs}: loss {moment.train_loss:.3f}{scored}"
        worth_saying = pass_index + 1 == epochs or (pass_index + 1) % _EPOCHS_A_LINE == 0
        self._progress.step(passes, text if worth_saying else None)
        entry: dict[str, Any] = {"arm": arm, "epoch": pass_index + 1, **moment_entry(moment)}
        self._folder.append_round(entry | ({"site": site} if site else {}))

    def _show(self, summary: dict[str, Any]) -> None:
        console = Console(width=TABLE_WIDTH, color_system=None)
        console.print(render_table(summary))
        console.print(f"run folder: {self._folder.final}", soft_wrap=True)

    def _emit(self, line: str) -> None:
        print(line, flush=True)
        self._folder.log(line)


def describe(hospitals: Hospitals, plan: TrainingPlan) -> list[str]:
    """Say in a few lines what is about to be trained on."""
    dataset = hospitals.dataset
    labels = [record.label for record in dataset.records]
    counts = ", ".join(f"{labels.count(index)} {name}" for index, name in enumerate(dataset.classes))
    patients = len({record.patient for record in dataset.records})
    lines = [
        f"{dataset.name}{' (synthetic)' if hospitals.synthetic else ''}: {len(labels)} images ({counts}) of {patients} "
        f"patients ({dataset.patient_source}), {len(hospitals.sites)} sites "
        f"({hospitals.partition}), {plan.model.family}"
    ]
    for image in dataset.excluded[:10]:
        lines.append(f"left out: {image.name}: {image.reason}")
    if len(dataset.excluded) > 10:
        lines.append(f"left out: {len(dataset.excluded) - 10} more images; summary.json names them all")
    for site in hospitals.sites:
        present = {record.label for record in (*site.split.train, *site.split.validation, *site.split.test)}
        if len(present) == 1:
            lines.append(f"{site.name} has images of one class only ({dataset.classes[present.pop()]})")
    return lines


def _total_passes(plan: TrainingPlan, hospitals: Hospitals) -> int:
    per_arm = {
        "federated": plan.federation.rounds * plan.federation.local_epochs,
        "centralized": plan.study.centralized_epochs,
        "local": plan.study.centralized_epochs,
    }
    return len(hospitals.pooled("train")) * sum(per_arm[arm] for arm in plan.study.arm_names)


def _run_path(plan: TrainingPlan, hospitals: Hospitals) -> Path:
    chosen = os.environ.get(RUN_FOLDER_VARIABLE)
    output = Path(plan.study.output or "runs").expanduser().absolute()
    return Path(chosen) if chosen else reserve_run(output, plan.study.name or hospitals.dataset.name)


def _say_score(score: Score) -> str:
    return f"{score.correct}/{score.images} right, loss {score.loss:.3f}"
