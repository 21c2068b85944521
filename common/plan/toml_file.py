"""Reads a plan from a TOML file: tables such as ``[federation]`` with ``rounds = 5``."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from common.errors import InputError
from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan


def read_plan_file(path: Path, changes: Mapping[str, Scalar] | None = None) -> TrainingPlan:
    """Read a plan; keys that the file lacks keep their defaults.

    Parameters
    ----------
    path : Path
        The TOML file.
    changes : mapping of str to bool, int, float or str
        Dotted keys that take precedence over the file's.

    Raises
    ------
    InputError
        If the file is no plan; one line that names it.
    """
    try:
        nested = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: is no TOML: {error}") from error
    given: dict[str, Scalar] = {}
    for group, values in nested.items():
        if not isinstance(values, dict):
            raise InputError(f"{path}: {group} stands outside of a table such as [federation]")
        given |= {f"{group}.{key}": value for key, value in values.items()}
    try:
        plan = TrainingPlan.from_flat(given)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return plan.changed(changes or {})
