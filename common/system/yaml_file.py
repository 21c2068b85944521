"""Reads YAML files into pydantic models; every error names the file's line and the field."""

import difflib
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from common.errors import InputError

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[int | str, ...]


def read_yaml_file(path: Path, model: type[Model]) -> Model:
    """Read a file into a pydantic model.

    Parameters
    ----------
    path : Path
        The file, UTF-8.
    model : type
        What it must hold. Give it ``extra="forbid"``, so that a mistyped field is an error and not ignored.

    Returns
    -------
    Model

    Raises
    ------
    InputError
        In one line, with the number of the file's line and the field: it cannot be read, is no YAML, repeats a field,
        has an unknown one (the nearest known is named), lacks one, or a value cannot be used.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is no UTF-8 text"
        raise InputError(f"{path}: {reason}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
        _refuse_repetitions(path, root)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}:{line}: is no YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: is no YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise InputError(f"{path}: is nested too deeply, or a part of it holds itself") from error
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"{path}: expected fields such as `{next(iter(model.model_fields))}: ...`")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise InputError(_describe(path, root, model, error)) from error


def _refuse_repetitions(path: Path, node: yaml.Node | None) -> None:
    """Refuse a field that occurs twice: YAML would silently keep the last."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repetitions(path, item)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise InputError(f"{path}:{line}: {key.value} stands here and in line {seen[key.value]}: remove one")
            seen[key.value] = line
            _refuse_repetitions(path, value)


def _describe(path: Path, root: yaml.Node, model: type[BaseModel], error: ValidationError) -> str:
    # A mistyped field gives two errors, one unknown and one missing field: the unknown one is more helpful.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    location: Location = first["loc"]
    line = _line_of(root, location)
    field = ".".join(str(part) for part in location)
    if first["type"] == "extra_forbidden":
        known = _fields_at(model, location[:-1])
        nearest = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        return f"{path}:{line}: unknown field {field}{hint}"
    if first["type"] == "missing":
        return f"{path}:{line}: field {field} is missing"
    if first["type"] == "value_error":
        # The messages of rarefed's own validators need no addition.
        return f"{path}:{line}: {field + ': ' if field else ''}{first['ctx']['error']}"
    return f"{path}:{line}: {field} = {first['input']!r}: {first['msg']}"


def _line_of(root: yaml.Node, location: Location) -> int:
    """Return the line of the field, or of the innermost field around it that the file has."""
    node = root
    line: int = node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                break
            key, node = found[0]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _fields_at(model: type[BaseModel], location: Location) -> list[str]:
    """Return the fields of the model that a location leads to, through lists and optional values."""
    kind: Any = model
    for part in location:
        if isinstance(part, str) and isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[part].annotation
        while get_args(kind):
            kind = next((each for each in get_args(kind) if get_args(each) or _is_model(each)), None)
    return list(kind.model_fields) if _is_model(kind) else []


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
