"""The operations guide as data: its code blocks, commands and tables."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import client.cli.main
import server.cli.main
import simulations.cli.main
from tests.places import ROOT

DEPLOY = ROOT / "deploy"
GUIDE = DEPLOY / "README.md"

APPS = {
    "rarefed-server": server.cli.main.app,
    "rarefed-hospital": client.cli.main.app,
    "rarefed-sim": simulations.cli.main.app,
}
_SERVICES = {"server": "rarefed-server", "hospital": "rarefed-hospital"}
_END_OF_COMMAND = {"|", "||", "&&", "&", ";", ">"}
_COMPOSE_RUN = ["docker", "compose", "run"]
# What stands before a command that is not the first word: a user for sudo, a container's name, or the end of another.
_BEFORE_COMMAND = {"rarefed", "server", "hospital", "--", *_END_OF_COMMAND}


def blocks(path: Path, languages: tuple[str, ...]) -> Iterator[str]:
    """Yield the code blocks of a page that are in one of the languages, lines that end in a backslash joined."""
    for language, code in re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL):
        if language in languages:
            yield code.replace("\\\n", " ")


def commands(path: Path) -> list[list[str]]:
    """Return every command of rarefed that a page shows, in a block or between backticks, as words."""
    lines = [line for code in blocks(path, ("", "bash", "console")) for line in code.splitlines()]
    prose = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines += re.findall(r"`((?:rarefed-server|rarefed-hospital|rarefed-sim) [^`]+)`", " ".join(prose.split()))
    return [command for line in lines for command in commands_in(line)]


def commands_in(line: str) -> Iterator[list[str]]:
    """Yield the commands of rarefed that a line of shell runs, also those in a container or for another user."""
    try:
        words = shlex.split(line.removeprefix("$ "), comments=True)
    except ValueError:
        return  # not shell, such as the output of a command
    if words[:3] == _COMPOSE_RUN:
        service = next(word for word in words[3:] if not word.startswith("-"))
        yield [_SERVICES[service], *words[words.index(service) + 1 :]]
        return
    for place, word in enumerate(words):
        if Path(word).name in APPS and (place == 0 or words[place - 1] in _BEFORE_COMMAND):
            rest = words[place + 1 :]
            end = next((number for number, each in enumerate(rest) if each in _END_OF_COMMAND), len(rest))
            yield [Path(word).name, *rest[:end]]


def rows(path: Path) -> list[list[str]]:
    """Return the rows of all tables of a page as cells, without the rules between head and body."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in path.read_text().splitlines()
        if line.startswith("|")
    ]
    return [row for row in cells if not all(re.fullmatch(":?-+:?", cell) for cell in row)]


def code(cell: str) -> list[str]:
    """Return what stands between backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)
