"""The simulation's ServerApp: all trainings of the plan's study, then the run folder."""

import os
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from rich.console import Console

from common.errors import RarefedError
from common.plan.training_plan import TrainingPlan
from server.runs.run_folder import RunFolder
from server.runs.run_naming import RUN_FOLDER_VARIABLE
from simulations.analysis.summarise import write_results
from simulations.report.html import write_report
from simulations.report.terminal import TABLE_WIDTH, render_table
from simulations.sites.consortium import load_consortium
from simulations.study.earlier_runs import resume_or_reserve
from simulations.study.runner import Study

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the study of the plan in Flower's run config and write the run folder."""
    plan = TrainingPlan.from_flat(dict(context.run_config))
    with RunFolder(_run_path(plan)) as folder:
        try:
            _compare(plan, folder, grid)
        except Exception as error:
            # Flower marks the run as failed and prints the traceback; the folder keeps the reason in one line.
            folder.log(f"error: {error if isinstance(error, RarefedError) else repr(error)}")
            raise


def _compare(plan: TrainingPlan, folder: RunFolder, grid: Grid) -> None:
    def emit(line: str) -> None:
        print(line, flush=True)
        folder.log(line)

    folder.write_plan(plan)
    study = Study(plan, folder, emit)
    study.train(grid)
    emit("statistics and report")
    summary = write_results(study, folder)
    write_report(folder.path)
    console = Console(width=TABLE_WIDTH, color_system=None)
    console.print(render_table(summary))
    console.print(f"run folder: {folder.final}", soft_wrap=True)


def _run_path(plan: TrainingPlan) -> Path:
    chosen = os.environ.get(RUN_FOLDER_VARIABLE)
    if chosen:
        return Path(chosen)
    output = Path(plan.study.output or "runs").expanduser().absolute()
    return resume_or_reserve(output, plan.study.name or load_consortium(plan).dataset.name, plan.digest)
