"""Composes YAML, and refuses by line what YAML would take for something else than its writer meant."""

import re
from pathlib import Path

import yaml

from common.errors import InputError

_WHOLE_NUMBER, _NUMBER = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
# YAML 1.1 reads 010 as eight, 0x10 as sixteen and 20:30 as 1230.
_DECIMAL = re.compile(r"[+-]?(0|[1-9][0-9_]*)")


_SPLIT_ADDRESS = re.compile(r"[\w.-]+:\s*\d*")


def compose_yaml(path: Path, text: str) -> yaml.Node | None:
    r"""Return the document's node, None for an empty one.

    Raises
    ------
    InputError
        In one line, with the number of the file's line: the text is no YAML, or YAML would silently take a part of it
        for something else: a field that stands there twice, ``011`` for nine, ``"C:\new"`` for two lines.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        # A quote or bracket that is never closed is noticed at the end of the file; it stands where its context begins.
        mark = error.problem_mark or error.context_mark
        if error.context_mark and "end of stream" in (error.problem or "") + (error.context or ""):
            mark = error.context_mark
        line = mark.line + 1 if mark else 1
        hint = _hint(error, _line(text, line))
        problem = "a second document begins" if "single document" in (error.context or "") else error.problem
        raise InputError(f"{path}:{line}: is no YAML: {problem or error.context}{hint}") from error
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise InputError(
            f"{path}:{line}: is no YAML: it holds the character U+{error.character:04X}; delete it"
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{path}: is no YAML: {' '.join(str(error).split())}") from error
    _refuse_misread(path, root)
    return root


def _refuse_misread(path: Path, node: yaml.Node | None) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_misread(path, item)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    first = seen[key.value]
                    raise InputError(f"{path}:{line}: {key.value} stands here and in line {first}: remove one")
                seen[key.value] = line
            _refuse_misread(path, value)
    if isinstance(node, yaml.ScalarNode):
        _refuse_misread_scalar(path, node)


def _refuse_misread_scalar(path: Path, node: yaml.ScalarNode) -> None:
    line, written = node.start_mark.line + 1, node.value
    if (node.tag == _WHOLE_NUMBER and not _DECIMAL.fullmatch(written)) or (node.tag == _NUMBER and ":" in written):
        raise InputError(
            f"{path}:{line}: YAML does not take {written} for a decimal number: where a text is meant, write "
            f'"{written}" in quotes; where a number is, write digits alone, without zeros in front'
        )
    # A real path or name has no control characters; "C:\new" gets one from its \n.
    if node.style == '"' and any(ord(sign) < ord(" ") for sign in written):
        raise InputError(
            f"{path}:{line}: in double quotes, a backslash and the letter after it are one sign; use single quotes, "
            r"'C:\new'"
        )


def _hint(error: yaml.MarkedYAMLError, line: str) -> str:
    """Return how the usual mistakes in the line are mended."""
    problem = error.problem or ""
    value = line.partition(": ")[2].strip()
    if "'\\t'" in problem:
        return "; indent with spaces, not with a tabulator"
    if "escape character" in problem or "escape sequence" in problem:
        return r"; use single quotes where a backslash is meant, 'C:\data'"
    if "end of stream" in problem and "quoted" in (error.context or ""):
        return "; the quote that begins here is never closed"
    if value[:1] in ("[", "{", "&", "*", "!", "%", "@", "`", "|", ">", '"', "'"):
        return "; a text with [ ] { } & * ! % @ ` in it stands in quotes"
    if "mapping values" in problem and _SPLIT_ADDRESS.fullmatch(value):
        return "; write host:port without a space between"
    if "mapping values" in problem:
        return "; a text with a colon and a space in it stands in quotes"
    if "expected ':'" in problem or "could not find expected" in problem:
        return "; a field is its name, a colon and a space"
    if "block end" in problem or "block mapping" in (error.context or ""):
        return "; check the indentation"
    return ""


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number - 1] if number <= len(lines) else ""
