"""A file that compares recipes over several sets of images: `rarefed-sim recipes`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.plan.groups import Scalar, nearest
from common.plan.toml_file import flatten, read_toml
from common.plan.training_plan import TrainingPlan

_TABLES = ("sets", "plan", "recipes")
# What the file itself says of the sets and the recipes, and what would make the sets' studies unlike each other.
_OWN_KEYS = ("data.path", "study.recipes", "study.output", "study.name")


@dataclass(frozen=True)
class RecipeComparison:
    """Recipes, and the sets of images over which they are compared.

    Attributes
    ----------
    plan : TrainingPlan
        With the recipes in `study.recipes`; without a set.
    sets : dict of str to Path or None
        The path of each set; None for the phantom.
    """

    plan: TrainingPlan
    sets: Mapping[str, Path | None]


def read_recipe_file(
    path: Path, folder: Path, changes: Mapping[str, Scalar], only: Sequence[str] = ()
) -> RecipeComparison:
    """Read the file of a comparison.

    Table `sets` gives each set a name and a path, or "" for the phantom; table `plan`, which may be missing, changes
    the plan that recipes are compared with; each table below `recipes` is a recipe: what it changes in that plan.

    Parameters
    ----------
    path : Path
        The TOML file.
    folder : Path
        Where relative paths of sets start.
    changes : mapping of str to Scalar
        Further changes of the plan, which take precedence over the file's.
    only : sequence of str
        Names of the sets and recipes to compare; of sets or recipes, if none of them is named, all.

    Raises
    ------
    InputError
        If the file is no such comparison, or has no set or recipe of a name; one line that names it.
    """
    tables = read_toml(path)
    for name in tables:
        if name not in _TABLES:
            raise InputError(f"{path}: {name} is none of its tables, which are {', '.join(_TABLES)}")
    sets, recipes = (_table(path, tables, name) for name in ("sets", "recipes"))
    for name in only:
        if name not in (*sets, *recipes):
            raise InputError(f"{path}: it has no set or recipe {name!r}{nearest(name, (*sets, *recipes))}")
    sets, recipes = (_chosen(table, only) for table in (sets, recipes))
    for name, place in sets.items():
        if not isinstance(place, str):
            raise InputError(f'{path}: the set {name} must be the path of its images, or "" for the phantom')
    own = flatten(tables.get("plan", {}))
    for key in _OWN_KEYS:
        if key in own:
            raise InputError(f"{path}: {key} cannot stand in table plan")
    try:
        plan = TrainingPlan.from_flat({"study.folds": 5, **own, **changes, "study.recipes": _as_text(path, recipes)})
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return RecipeComparison(plan, {name: folder / place if place else None for name, place in sets.items()})


def _table(path: Path, tables: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = tables.get(name)
    if not isinstance(found, dict) or not found:
        raise InputError(f"{path}: table {name} is missing or empty")
    return found


def _chosen(table: dict[str, Any], only: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name in only} or table


def _as_text(path: Path, recipes: Mapping[str, Any]) -> str:
    """Return recipes as `study.recipes` holds them."""
    parts = []
    for name, changes in recipes.items():
        if not isinstance(changes, dict):
            raise InputError(f"{path}: the recipe {name} must be a table of plan keys, such as data.denoise = 'none'")
        parts.append(f"{name}: {' '.join(f'{key}={_word(value)}' for key, value in flatten(changes).items())}")
    return "; ".join(parts)


def _word(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
