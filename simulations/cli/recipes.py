"""The command `rarefed-sim recipes`: recipes compared over several sets of images."""

from pathlib import Path
from typing import Annotated

import typer

from common.plan.groups import words_of
from common.system.command_line import table_console
from common.system.folders import user_path
from simulations.cli.options import CHANGES, DEFAULT_OUTPUT, OUTPUT, parse_changes, with_paths
from simulations.cli.runs import FRESH, show_table, train_each


def recipes(
    file: Annotated[Path, typer.Argument(help="Sets, plan and recipes: see simulations/README.md.")],
    sets: Annotated[Path | None, typer.Option(help="Where the sets lie. [default: the file's folder]")] = None,
    only: Annotated[str, typer.Option(help="Sets and recipes to compare, such as skin,cxr,unfiltered.")] = "",
    output: OUTPUT = DEFAULT_OUTPUT,
    changes: CHANGES = [],  # noqa: B006
    fresh: FRESH = False,
) -> None:
    """Compare recipes over several sets of images, each set by a study; say what the others would choose for each set.

    Interrupt it at any moment: the same command goes on where it stopped.
    """
    from simulations.report.tables.recipe_gains_tables import recipe_gains_tables
    from simulations.report.terminal import TABLE_WIDTH
    from simulations.study.recipe_file import read_recipe_file

    console = table_console(TABLE_WIDTH)
    comparison = read_recipe_file(file, user_path(sets or file.parent), parse_changes(changes), words_of(only))
    plans = {
        name: with_paths(comparison.plan.changed({"study.name": f"{file.stem}-{name}"}), path, 0, output)
        for name, path in comparison.sets.items()
    }
    for table in recipe_gains_tables(train_each(plans, fresh, console)):
        show_table(table, output / file.stem, console)
    console.print(f"tables: {output / file.stem}", soft_wrap=True, highlight=False)
