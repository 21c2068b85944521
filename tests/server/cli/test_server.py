"""The commands about the server itself."""

import json
from pathlib import Path

from tests.server.cli.invented_server import Command


def test_the_hash_is_printed_for_hospital_yaml(command: Command) -> None:
    code, out, _ = command("app")
    assert code == 0
    assert len(out.strip()) == 64


def test_without_a_server_every_command_says_so(command: Command, plan: Path) -> None:
    for arguments in (("run", plan), ("runs",), ("logs",), ("stop",)):
        code, _, err = command(*arguments)
        assert code == 1
        assert "rarefed-server start" in err
        assert err.count("\n") == 1
    code, out, _ = command("status", "--json")
    assert code == 1
    assert json.loads(out)["running"] is False
