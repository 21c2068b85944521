"""The command `rarefed-sim recipes`: recipes compared over several sets of images."""

from pathlib import Path
from typing import Annotated

import typer

from common.system.command_line import table_console
from simulations.cli.options import CHANGES, DEFAULT_OUTPUT, OUTPUT, parse_changes, with_paths
from simulations.cli.runs import FRESH, train_all


def recipes(
    file: Annotated[Path, typer.Argument(help="Sets, plan and recipes: see simulations/README.md.")],
    sets: Annotated[Path | None, typer.Option(help="Where the sets lie. [default: the file's folder]")] = None,
    output: OUTPUT = DEFAULT_OUTPUT,
    changes: CHANGES = [],  # noqa: B006
    fresh: FRESH = False,
) -> None:
    """Compare recipes over several sets of images, each set by a study; say what the others would choose for each set.

    Interrupt it at any moment: the same command goes on where it stopped.
    """
    from common.summary.summary_file import read_summary
    from common.system.files import write_text_atomically
    from simulations.report.tables.recipe_gains_tables import recipe_gains_tables
    from simulations.report.tables.table import table_csv
    from simulations.report.terminal import TABLE_WIDTH, draw_table
    from simulations.study.recipe_file import read_recipe_file

    console = table_console(TABLE_WIDTH)
    comparison = read_recipe_file(file, (sets or file.parent).expanduser().absolute(), parse_changes(changes))
    plans = {
        name: with_paths(comparison.plan.changed({"study.name": f"{file.stem}-{name}"}), path, 0, output)
        for name, path in comparison.sets.items()
    }
    runs = train_all(list(plans.values()), fresh, console)
    summaries = {name: read_summary(run) for name, run in zip(plans, runs, strict=True)}
    for table in recipe_gains_tables(summaries):
        console.print(*draw_table(table), table.caption, "", sep="\n", markup=False)
        path = output / file.stem / f"{table.name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, table_csv(table))
    console.print(f"tables: {output / file.stem}", soft_wrap=True, highlight=False)
