"""The operations guide says what is true of the code: its commands, rules, words, ports, messages and links."""

import ast
import re
from enum import StrEnum
from functools import cache
from typing import Any

import click
import pytest
import typer

from client.rules.audit_log import Event
from client.rules.hospital_file import LimitsSection, PortsSection, RequireSection, RulesSection
from common.protocol.refusals import Failure, Rule, failure, refusal
from server.members.consortium import ServerSection
from tests.deploy.guide import APPS, DEPLOY, GUIDE, ROOT, blocks, code, commands, commands_in, rows
from tests.deploy.kit import kit_file

PAGES = (GUIDE, ROOT / "README.md")
_PLACEHOLDER = re.compile(r"\.\.\.|<[^>]+>|'rarefed-[^']*'|\d+")


def command_lines() -> list[str]:
    return sorted({" ".join(command) for page in PAGES for command in commands(page)})


def test_the_guide_shows_the_whole_way() -> None:
    shown = {tuple(command[:2]) for command in commands(GUIDE)}
    coordinator = (
        "provision",
        "approve",
        "revoke",
        "renew",
        "hospitals",
        "start",
        "app",
        "run",
        "status",
        "runs",
        "logs",
        "stop",
    )
    hospital = ("enroll", "check", "preview", "start", "status", "audit")
    expected = {("rarefed-server", name) for name in coordinator} | {("rarefed-hospital", name) for name in hospital}
    assert expected <= shown


@pytest.mark.parametrize("line", command_lines())
def test_a_command_and_its_options_exist(line: str) -> None:
    program, *words = line.split(" ")
    command: Any = typer.main.get_command(APPS[program])
    while hasattr(command, "commands"):
        assert words, f"{line}: which command?"
        name = words.pop(0)
        assert name in command.commands, f"{line}: there is no {name}"
        command = command.commands[name]
    # Of a command that stands in a sentence only the options that are there must exist.
    options = [word.split("=")[0] for word in words if word.startswith("-")]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    assert set(options) <= known


def block_lines() -> list[str]:
    found = [line for page in PAGES for block in blocks(page, ("bash", "console")) for line in block.splitlines()]
    return sorted({line.partition(" #")[0].strip() for line in found if any(commands_in(line))})


@pytest.mark.parametrize("line", block_lines())
def test_a_command_in_a_block_has_the_arguments_that_it_needs(line: str) -> None:
    for program, *words in commands_in(line):
        command: Any = typer.main.get_command(APPS[program])
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        values, _, _ = command.make_parser(click.Context(command)).parse_args(list(words))
        assert not [each.name for each in command.params if each.required and values.get(each.name) is None]


def test_every_rule_of_a_hospital_is_in_the_table_with_its_default() -> None:
    table = {code(row[0])[0]: row for row in rows(GUIDE) if len(row) == 4 and code(row[0])}
    for name, field in RulesSection.model_fields.items():
        told = table[name][1]
        if field.is_required():
            assert told == "-", name
        elif isinstance(field.default, int | float):
            assert told == f"{field.default:g}", name
        elif name == "share":
            assert code(told) == list(field.default)
    for name, field in RequireSection.model_fields.items():
        assert table[f"require.{name}"][1] == f"{field.default:g}"


@pytest.mark.parametrize("word", [*(refusal(rule) for rule in Rule), *(failure(kind) for kind in Failure)])
def test_every_word_that_the_coordinator_may_see_is_in_the_guide(word: str) -> None:
    assert f"`{word}`" in GUIDE.read_text()


def test_the_guide_knows_no_other_words() -> None:
    told = re.findall(r"`(?:refused by rule|failed:) ([^`<]+)`", GUIDE.read_text())
    assert set(told) == words(Rule) | words(Failure)


def words(kind: type[StrEnum]) -> set[str]:
    return {member.value for member in kind}


def test_the_ports_of_the_firewall_table_are_the_defaults() -> None:
    table = [row for row in rows(GUIDE) if row[-2].endswith("/tcp")]
    told = {field: row[3] for row in table for field in code(row[4])}
    defaults = {f"server.{name}": ServerSection.model_fields[name].default for name in ("port", "superlink_port")}
    defaults |= {f"ports.{name}": field.default for name, field in PortsSection.model_fields.items()}
    assert told == {name: f"{port}/tcp" for name, port in defaults.items()}
    outbound = [row for row in table if row[1] == "outbound"]
    assert [(row[0], row[3]) for row in outbound] == [("hospital", f"{defaults['server.port']}/tcp")]
    assert [row[0] for row in table if row[1] == "inbound"] == ["server"]
    assert f"-addr=127.0.0.1:{defaults['ports.health']}" in GUIDE.read_text()


def test_the_limits_that_the_guide_names_exist() -> None:
    named = set(re.findall(r"`limits\.(\w+)", GUIDE.read_text()))
    assert named == set(LimitsSection.model_fields)


def test_links_lead_somewhere() -> None:
    text = GUIDE.read_text()
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        else:
            assert (DEPLOY / target).exists(), target


def quoted_lines() -> list[str]:
    (start,) = [number for number, row in enumerate(rows(GUIDE)) if row == ["symptom", "the line", "what to do"]]
    return [line for row in rows(GUIDE)[start + 1 :] for line in code(row[1]) if " " in line]


@pytest.mark.parametrize("line", quoted_lines())
def test_a_line_that_the_guide_quotes_is_one_that_the_code_says(line: str) -> None:
    # What the code fills in is cut out; the longest of the rest must stand in the code as it is.
    longest = max((piece.strip(" :;,.") for piece in _PLACEHOLDER.split(line)), key=len)
    assert any(longest in text for text in texts_of_the_code()), longest


@cache
def texts_of_the_code() -> tuple[str, ...]:
    texts = []
    for package in ("client", "common", "server"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    parts = (part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
                    texts.append("".join(str(part) for part in parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
    return tuple(texts) + tuple(refusal(rule) for rule in Rule) + tuple(failure(kind) for kind in Failure)


def test_every_event_of_the_audit_log_is_in_its_table() -> None:
    text = GUIDE.read_text().partition("## The audit log")[2].partition("## Firewall")[0]
    told = set(re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE))
    assert {event for cell in told for event in code(cell)} == set(Event)


def test_guide_and_kit_install_a_hospital_by_the_same_commands() -> None:
    def steps(page: str) -> list[str]:
        (block,) = (each for each in re.findall(r"^```\w*\n(.*?)^```$", page, re.M | re.S) if "ca.crt /srv" in each)
        lines = [line.partition(" #")[0].rstrip() for line in block.splitlines()]
        return [re.sub(r"rarefed-\S+\.whl", "rarefed-*.whl", line) for line in lines if "sha256sum" not in line]

    assert steps(GUIDE.read_text()) == ["unzip north.zip", *steps(kit_file("README.md"))]
