"""`rarefed-sim`: the researcher's command."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from common.errors import InputError
from common.plan.families import FAMILIES, Family
from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from common.system.command_line import parse_change, print_version, run_command_line, table_console

app = typer.Typer(help="Hospitals on one machine: is federating worth it for these images?", no_args_is_help=True)
weights_app = typer.Typer(help="Pretrained weights: fetch them once, train without the network.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")


@app.callback()
def _common(
    version: Annotated[bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show it.")] = False,
) -> None:
    pass


DATA = Annotated[Path | None, typer.Option(help="Image folder, manifest.csv or .npz. [default: the phantom]")]
SITES = Annotated[int, typer.Option(help="Number of hospitals; 0: as the data say, else 4.", min=0)]
OUTPUT = Annotated[Path, typer.Option(help="Folder of the run folders.")]
CHANGES = Annotated[list[str], typer.Option("--set", help="Any plan key, as in training.seed=2.")]
AS_JSON = Annotated[bool, typer.Option("--json", help="Print summary.json instead of the table.")]
FRESH = Annotated[bool, typer.Option("--fresh", help="Do not go on from an interrupted run of the same plan.")]


@app.command()
def run(
    data: DATA = None,
    sites: SITES = 0,
    output: OUTPUT = Path("runs"),
    changes: CHANGES = [],  # noqa: B006
    fresh: FRESH = False,
    as_json: AS_JSON = False,
) -> None:
    """Train centralised, federated and per hospital on one split, and compare."""
    plan = TrainingPlan.from_flat(dict(parse_change(change) for change in changes))
    _simulate(_with_paths(plan, data, sites, output), fresh, as_json)


@app.command()
def study(
    data: DATA = None,
    sites: SITES = 0,
    folds: Annotated[
        int, typer.Option(help="Of the cross-validation: every image is tested once a repeat.", min=2)
    ] = 5,
    repeats: Annotated[int, typer.Option(help="Of the cross-validation, with other folds.", min=1)] = 1,
    arms: Annotated[
        str, typer.Option(help="federated,centralized,local,probe,scratch. [default: all but scratch]")
    ] = "",
    models: Annotated[str, typer.Option(help="Families to compare, such as vgg16,resnet50.")] = "",
    strategies: Annotated[str, typer.Option(help="Strategies to compare, such as fedavg,fedprox.")] = "",
    partitions: Annotated[str, typer.Option(help="Partitions to compare, such as natural,iid,dirichlet.")] = "",
    site_counts: Annotated[str, typer.Option(help="Numbers of hospitals to compare, such as 2,4,8.")] = "",
    faults: Annotated[str, typer.Option(help="Ways to fail to compare: none,dropout,scaled,flipped.")] = "",
    output: OUTPUT = Path("runs"),
    changes: CHANGES = [],  # noqa: B006
    fresh: FRESH = False,
    as_json: AS_JSON = False,
) -> None:
    """Answer whether federating is worth it: repeated cross-validation of all arms, with statistics and a report.

    Interrupt it at any moment: the same command goes on where it stopped.
    """
    flat: dict[str, Scalar] = {"study.folds": folds, "study.repeats": repeats}
    lists = {"arms": arms, "models": models, "strategies": strategies, "partitions": partitions, "faults": faults}
    flat |= {f"study.{key}": value for key, value in (lists | {"site_counts": site_counts}).items() if value}
    plan = TrainingPlan.from_flat(flat | dict(parse_change(change) for change in changes))
    _simulate(_with_paths(plan, data, sites, output), fresh, as_json)


@app.command()
def robustness(
    data: DATA = None,
    output: OUTPUT = Path("runs"),
    changes: CHANGES = [],  # noqa: B006
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what is measured already.")] = False,
) -> None:
    """Measure what federated training loses to hospitals that drop out, and to a hostile one; two tables.

    Interrupt it at any moment: the same command goes on where it stopped.
    """
    from common.summary.summary_file import read_summary
    from simulations.analysis.robustness import robustness_plans
    from simulations.report.terminal import TABLE_WIDTH, render_faults
    from simulations.study.earlier_runs import finished_run

    console = table_console(TABLE_WIDTH)
    runs = []
    for plan in robustness_plans(dict(parse_change(change) for change in changes)):
        plan = _with_paths(plan, data, 0, output)
        done = None if fresh else finished_run(Path(plan.study.output), plan.digest)
        if done:
            console.print(f"measured already: {done} (--fresh measures again)", soft_wrap=True, highlight=False)
        runs.append(done or _train(plan, fresh, console))
    for run in runs:
        console.print(render_faults(read_summary(run)))
        console.print(f"run folder: {run}", soft_wrap=True, highlight=False)


@app.command("hand-out")
def hand_out_sites(
    folder: Annotated[Path, typer.Argument(help="Folder that gets a folder a hospital; must be empty or absent.")],
    data: DATA = None,
    sites: SITES = 0,
    changes: CHANGES = [],  # noqa: B006
) -> None:
    """Deal a data set out to one folder a hospital: for a real federation on this machine (see deploy/)."""
    from simulations.sites.consortium import load_consortium
    from simulations.sites.export import hand_out

    plan = TrainingPlan.from_flat(dict(parse_change(change) for change in changes))
    consortium = load_consortium(_with_paths(plan, data, sites, Path("runs")))
    for site, (name, place) in zip(consortium.sites, hand_out(consortium, folder).items(), strict=True):
        count = len(site.split.train) + len(site.split.validation) + len(site.split.test)
        print(f"{name}: {count} images in {place}")


@app.command()
def demo(
    data: DATA = None,
    sites: SITES = 0,
    output: OUTPUT = Path("runs"),
    folder: Annotated[Path, typer.Option(help="Of consortium, server and hospitals; emptied first.")] = Path("demo"),
    rounds: Annotated[int, typer.Option(help="Of the federation.", min=1)] = 5,
    changes: CHANGES = [],  # noqa: B006
) -> None:
    """Rehearse a real federation: server, daemons, TLS, keys, rules and audit logs, all on this machine."""
    from simulations.local_federation.demo import demonstrate
    from simulations.report.terminal import TABLE_WIDTH, render_table

    flat: dict[str, Scalar] = {"federation.rounds": rounds}
    plan = TrainingPlan.from_flat(flat | dict(parse_change(change) for change in changes))
    summary = demonstrate(_with_paths(plan, data, sites, output), folder, output, lambda line: print(line, flush=True))
    Console(width=TABLE_WIDTH).print(render_table(summary))


def _simulate(plan: TrainingPlan, fresh: bool, as_json: bool) -> None:
    """Run a plan in a Flower of its own and show what came of it."""
    from common.summary.summary_file import read_summary
    from simulations.report.terminal import TABLE_WIDTH, render_table

    console = table_console(TABLE_WIDTH, stderr=as_json)
    path = _train(plan, fresh, console)
    if as_json:
        print(json.dumps(json.loads((path / "summary.json").read_text()), indent=2))
    else:
        console.print(render_table(read_summary(path)))
        console.print(f"run folder: {path}", soft_wrap=True, highlight=False)


def _train(plan: TrainingPlan, fresh: bool, console: Console) -> Path:
    """Run a plan in a Flower of its own, or go on with an interrupted run of it, and return its folder."""
    from simulations.launcher.launch import launch_run

    with _Follow(console) as follow:
        return launch_run(plan, fresh, follow.line)


@app.command()
def report(run: Annotated[Path, typer.Argument(help="A run folder.")]) -> None:
    """Draw report.html, figures/ and tables/ again from a run's summary.json and predictions.csv."""
    from simulations.report.html import write_report

    print(write_report(run))


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two or more run folders.")],
    page: Annotated[Path | None, typer.Option(help="Also write the comparison as an HTML page.")] = None,
) -> None:
    """Set finished runs side by side: their arms, what differs in their plans, and paired tests on the same images."""
    from simulations.report.run_comparison import compare_runs, write_comparison
    from simulations.report.terminal import TABLE_WIDTH

    console = table_console(TABLE_WIDTH)
    console.print(compare_runs(runs))
    if page:
        console.print(write_comparison(runs, page), soft_wrap=True, highlight=False)


@app.command()
def phantom(
    folder: Annotated[Path, typer.Argument(help="A folder to be made.")],
    images: Annotated[int, typer.Option(min=40, max=100_000)] = 200,
    seed: Annotated[int, typer.Option(min=0)] = 1,
) -> None:
    """Write the built-in synthetic data set to look at, or to try rarefed with."""
    from simulations.phantom.data_set import write_phantom

    if folder.exists():
        raise InputError(f"{folder} exists already: name a folder to be made")
    write_phantom(folder, seed=seed, images=images)
    print(folder)


@weights_app.command("list")
def weights_list(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Show for each family where its weights are."""
    from common.models.pretrained_weights import available

    found = available()
    if as_json:
        rows = {
            name: {"source": w.source, "path": str(w.path), "sha256": w.sha256} if w else None
            for name, w in found.items()
        }
        print(json.dumps(rows, indent=2))
        return
    for name, weights in found.items():
        # No table: a path or command that a terminal cuts short cannot be copied.
        source, digest = (weights.source, weights.sha256[:12]) if weights else ("missing", "")
        print(f"{name:20}{source:10}{digest:14}{weights.path if weights else f'rarefed-sim weights fetch {name}'}")


@weights_app.command("fetch")
def weights_fetch(families: Annotated[list[str], typer.Argument(help="Families, or all.")]) -> None:
    """Download weights from the hub that timm uses and stage them for training without the network."""
    from common.models.pretrained_weights import fetch

    for name in FAMILIES if families == ["all"] else families:
        weights = fetch(_family(name))
        print(f"{name}: {weights.path} sha256 {weights.sha256}")


@weights_app.command("verify")
def weights_verify() -> None:
    """Check the weights at hand against their recorded SHA-256 and their family's tensors."""
    from common.models.pretrained_weights import available, verify

    faults = 0
    for name, weights in available().items():
        if weights:
            fault = verify(weights)
            faults += fault is not None
            print(f"{name}: {fault or f'ok ({weights.source}, sha256 {weights.sha256})'}")
    if faults:
        raise typer.Exit(1)


class _Follow:
    """Shows a run's lines, and on a terminal a bar below them."""

    def __init__(self, console: Console) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._console = console
        self._task = self._bar.add_task("starting Flower", total=100)

    def __enter__(self) -> "_Follow":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def line(self, line: str) -> None:
        """Print one line of the run; its percentage moves the bar."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        if line.startswith("[") and "%" in line:
            share, _, rest = line[1:].partition("%")
            self._bar.update(self._task, completed=float(share), description=rest.partition("]")[0].strip())


def _with_paths(plan: TrainingPlan, data: Path | None, sites: int, output: Path) -> TrainingPlan:
    """Make every path absolute here, where the user stands; Flower's processes stand elsewhere."""
    changes: dict[str, Scalar] = {"study.output": str(Path(plan.study.output or output).expanduser().absolute())}
    path = data or (Path(plan.data.path) if plan.data.path else None)
    if path is not None:
        changes["data.path"] = str(path.expanduser().absolute())
    if sites:
        changes["study.sites"] = sites
    if plan.model.weights not in ("auto", "none"):
        changes["model.weights"] = str(Path(plan.model.weights).expanduser().absolute())
    return plan.changed(changes)


def _family(name: str) -> Family:
    if name not in FAMILIES:
        raise InputError(f"unknown family {name!r}; known: {', '.join(FAMILIES)}")
    return FAMILIES[name]


def main() -> None:
    """Run `rarefed-sim`."""
    run_command_line(app)


if __name__ == "__main__":
    main()
