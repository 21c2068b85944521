"""Reads YAML files into pydantic models; every error names the file's line and the field."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from common.errors import InputError
from common.system.text_file import read_utf8
from common.system.validation_words import explain_value, field_path, nearest_of, shown_value
from common.system.yaml_section import PlacedError
from common.system.yaml_text import compose_yaml

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[int | str, ...]

_BOOL = "tag:yaml.org,2002:bool"


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
        has an unknown one (the nearest known is named), lacks one, or a value cannot be used or would be misread.
    """
    text = read_utf8(path)
    try:
        root = compose_yaml(path, text)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}:{line}: is no YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: is no YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise InputError(f"{path}: is nested too deeply, or a part of it holds itself") from error
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"{path}: expected fields such as `{next(iter(model.model_fields))}: ...`")
    _refuse_truth_as_number(path, root, model)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise InputError(_describe(path, root, model, error)) from error


def _refuse_truth_as_number(path: Path, node: yaml.Node, model: type[BaseModel], above: str = "") -> None:
    """Refuse ``yes`` where a number is expected: in Python true is 1."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        field = model.model_fields.get(str(key.value))
        if field is None:
            continue
        if value.tag == _BOOL and field.annotation in (int, float):
            line = key.start_mark.line + 1
            raise InputError(f"{path}:{line}: {above}{key.value} = {value.value}: a number is expected")
        if _is_model(field.annotation):
            _refuse_truth_as_number(path, value, field.annotation, f"{above}{key.value}.")  # type: ignore[arg-type]


def _describe(path: Path, root: yaml.Node, model: type[BaseModel], error: ValidationError) -> str:
    # A mistyped field gives two errors, one unknown and one missing field: the unknown one is more helpful.
    first = min(error.errors(), key=lambda each: each["type"] not in ("extra_forbidden", "invalid_key"))
    location: Location = first["loc"]
    node, line = _find(root, location)
    if isinstance(reason := first.get("ctx", {}).get("error"), PlacedError):
        _, line = _find(root, (*location, *reason.below))
    field = field_path(location)
    where = f"{path}:{line}: "
    if first["type"] in ("extra_forbidden", "invalid_key"):
        return f"{where}unknown field {field}{_known_field(model, location)}"
    if first["type"] == "missing":
        return f"{where}field {field} is missing"
    if first["type"] == "model_type":
        known = next(iter(_fields_at(model, location)), "name")
        return f"{where}{field}: expected fields below it, indented, such as `{known}: ...`"
    if first["type"] == "value_error":
        # The messages of rarefed's own validators need no addition.
        return f"{where}{field + ': ' if field else ''}{first['ctx']['error']}"
    if first["input"] is None:
        return f"{where}{field} is empty: {explain_value(first)}"
    written = _as_written(node, first)
    return f"{where}{field} = {written}: {explain_value(first, written)}"


def _known_field(model: type[BaseModel], location: Location) -> str:
    """Return the end of an error about an unknown field: where it belongs, or the nearest known one."""
    name = str(location[-1])
    if elsewhere := [section for section, field in _sections(model) if field == name]:
        return f"; it belongs {f'below {elsewhere[0]}' if elsewhere[0] else 'to the left, outside of the sections'}"
    nearest = nearest_of(name, _fields_at(model, location[:-1]))
    return f"; did you mean {nearest}?" if nearest else ""


def _sections(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield every section that stands there once, "" for the file itself, with each of its fields."""
    for name, field in model.model_fields.items():
        yield above, name
        if _is_model(field.annotation):
            yield from _sections(field.annotation, f"{above}.{name}" if above else name)  # type: ignore[arg-type]


def _as_written(node: yaml.Node | None, error: ErrorDetails) -> str:
    if isinstance(node, yaml.ScalarNode) and not isinstance(error["input"], str) and len(node.value) <= 80:
        return str(node.value)
    return shown_value(error["input"])


def _find(root: yaml.Node, location: Location) -> tuple[yaml.Node | None, int]:
    """Return a field's value and line; if the file lacks it, None and the line of the innermost field around it."""
    node = root
    line: int = node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                return None, line
            key, node = found[0]
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return node, line


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
