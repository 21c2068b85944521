"""The simulation's ServerApp: all trainings of the plan's study, then the run folder.

It imports what it needs step by step: Flower's workers load theirs in the meantime.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from common.errors import RarefedError
from common.plan.training_plan import TrainingPlan
from common.system.resources import usable_cores
from server.runs.run_folder import RunFolder
from simulations.study.launch_settings import GROUP, RUN_FOLDER, WORKERS

if TYPE_CHECKING:
    from simulations.study.runner import Study

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the study of the plan in Flower's run config and write the run folder."""
    settings = dict(context.run_config)
    chosen = str(settings.pop(f"{GROUP}.{RUN_FOLDER}", ""))
    workers = int(settings.pop(f"{GROUP}.{WORKERS}", max(1, usable_cores() // 2)))
    plan = TrainingPlan.from_flat(settings)
    with RunFolder(Path(chosen) if chosen else _reserve(plan)) as folder:
        try:
            _run_study(plan, folder, grid, workers)
        except Exception as error:
            # Flower marks the run as failed and prints the traceback; the folder keeps the reason in one line.
            folder.log(f"error: {error if isinstance(error, RarefedError) else repr(error)}")
            raise


def _run_study(plan: TrainingPlan, folder: RunFolder, grid: Grid, workers: int) -> None:
    from simulations.study.workers import warm_up

    warm_up(grid, plan, workers)

    def emit(line: str) -> None:
        print(line, flush=True)
        folder.log(line)

    from simulations.study.runner import Study

    folder.write_plan(plan)
    study = Study(plan, folder, emit, workers)
    study.train(grid)
    emit("statistics and report")
    _report(study, folder)


def _report(study: "Study", folder: RunFolder) -> None:
    from rich.console import Console

    from simulations.analysis.summarise import write_results
    from simulations.report.html import write_report
    from simulations.report.terminal import TABLE_WIDTH, render_table

    summary = write_results(study, folder)
    write_report(folder.path)
    console = Console(width=TABLE_WIDTH, color_system=None, markup=False)
    console.print(render_table(summary))
    console.print(f"run folder: {folder.final}", soft_wrap=True, highlight=False)


def _reserve(plan: TrainingPlan) -> Path:
    """Return the run folder of a run that was started by `flwr run`, whose paths count from where Flower stands."""
    from simulations.sites.consortium import load_consortium
    from simulations.study.earlier_runs import resume_or_reserve

    output = Path(plan.study.output or "runs").expanduser().absolute()
    return resume_or_reserve(output, plan.study.name or load_consortium(plan).dataset.name, plan.digest)
