"""The commands that run a federation, with the server's answers invented."""

import json
from pathlib import Path

import pytest

from common.errors import InputError
from common.system.files import try_lock
from server.cli.federations import read_overrides
from server.members.server_folder import ServerFolder
from tests.server.cli.invented_server import Command, InventedServer
from tests.server.runs.written_run import entry, write_run


@pytest.fixture(autouse=True)
def nothing_went_on_before(server: InventedServer) -> None:
    server.before = "completed"


def test_only_what_differs_from_the_defaults_is_sent(plan: Path) -> None:
    assert read_overrides(plan, ["training.seed=9"]) == {"federation.rounds": 3, "training.seed": 9}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[federation]\nround = 3",
            "plan.toml: unknown plan key 'federation.round'; did you mean 'federation.rounds'?",
        ),
        ("[federation]\nrounds = 0", "plan.toml: plan key federation.rounds = 0"),
        ("[federation\n", "plan.toml:1: is no TOML"),
        (
            '[data]\npath = "C:\\data"',
            "plan.toml:2: is no TOML: Unescaped '\\' in a string; in double quotes a backslash",
        ),
        ('[data]\npath = "C:\\new"', "it holds a control character, as a backslash in double quotes makes"),
        ("[data]\npath = /data", "plan.toml:2: is no TOML: Invalid value; a text stands in straight quotes"),
        ("[data]\npositive = true", 'data.positive = True: a text is expected; put it into quotes: "true"'),
        ("[data]\npositive = 1", "data.positive = 1: this is taken for a number; where a text is meant, put it into"),
        ("[data]\nclasses = ['a', 'b']", "data.classes = ['a', 'b']: one text is expected, not several values"),
        ("[study]\nname = 2024-01-01", "this is taken for a date; where a text is meant, put it into quotes"),
        ("[training]\nlearning_rate = 0,001", "write a decimal point, not a comma"),
        ("[federation]\nrounds: 3", "write KEY = VALUE; a table is [federation] on a line of its own"),
        ("[federation]\nrounds = 03", "write a number without zeros in front"),
        ("[federation]\nRounds = 3", "unknown plan key 'federation.Rounds'; did you mean 'federation.rounds'?"),
        ("[federation]\nrounds = 3\n[federation]\nmin_sites = 1", "plan.toml:3: is no TOML: Cannot declare"),
        (
            "'federation.rounds' = 3",
            "federation.rounds stands outside of a table such as [federation]; write it without",
        ),
        ("rounds = 3", "plan.toml: rounds stands outside of a table"),
        ("[study]\noutput = 'here'", "consortium.yaml"),
        ("[study]\ndropout = 0.3", "plan.toml: study.dropout is the simulation's"),
        ("[study]\nhostile_sites = 1", "plan.toml: study.hostile_sites is the simulation's"),
        ("[study]\nhostile = 'flipped'", "plan.toml: study.hostile is the simulation's"),
        ("[study]\nfaults = 'none'", "plan.toml: study.faults is the simulation's"),
        ("[training.deep]\nseed = 3", "plan.toml: unknown plan key 'training.deep'"),
    ],
)
def test_a_wrong_plan_is_one_line_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_overrides(path, [])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_plan_that_windows_wrote_is_read_and_another_encoding_named(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_bytes(b"\xef\xbb\xbf[federation]\r\nrounds = 3\r\n")
    assert read_overrides(path, []) == {"federation.rounds": 3}
    path.write_bytes("[study]\nname = 'S\u00fcd'\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"plan\.toml:2: is no UTF-8 text; save it as UTF-8"):
        read_overrides(path, [])


def test_a_run_that_completes_is_followed_across_a_restart_of_the_server(
    command: Command, server: InventedServer, folder: ServerFolder, plan: Path
) -> None:
    run = write_run(folder.root / "runs" / "20260101-120000-a", [entry(1), entry(2)])
    (run / "summary.json").write_text('{"test": 1}')
    server.statuses = ["pending", "running", "unreachable", "running", "completed"]
    code, out, _ = command("run", plan)
    assert code == 0
    assert server.started == [{"federation.rounds": 3, "training.seed": 5}]
    assert [line for line in out.splitlines() if line.startswith("run 7")] == [
        *("run 7: pending", "run 7: running", "run 7: completed")
    ]
    assert "round 2/3" in out
    assert f"run folder: {run}" in out
    code, out, _ = command("run", plan, "--json")
    assert json.loads(out) == {
        **{"run_id": 7, "status": "completed", "details": "", "folder": str(run), "summary": {"test": 1}}
    }


def test_a_run_that_fails_is_an_error_with_its_reason(command: Command, server: InventedServer, plan: Path) -> None:
    server.statuses = ["failed"]
    code, _, err = command("run", plan)
    assert (code, err) == (1, "error: run 7 failed: out of memory\n")


def test_ctrl_c_leaves_the_run_and_says_how_to_end_it(command: Command, server: InventedServer, plan: Path) -> None:
    server.statuses = ["running", "Ctrl-C"]
    code, _, err = command("run", plan)
    assert code == 130
    assert "rarefed-server stop 7" in err
    assert server.stopped == []


def test_detached_it_returns_at_once(command: Command, server: InventedServer, plan: Path) -> None:
    server.statuses = ["Ctrl-C"]
    assert command("run", plan, "--detach")[:2] == (0, "run 7 started\n")
    assert json.loads(command("run", plan, "--detach", "--json")[1]) == {"run_id": 7}


def test_there_is_one_federation_at_a_time(
    command: Command, server: InventedServer, folder: ServerFolder, plan: Path
) -> None:
    server.before = "running"
    with folder.run_lock.open("a") as going:
        assert try_lock(going)
        code, _, err = command("run", plan, "--detach")
    assert (code, err.count("\n")) == (1, 1)
    assert "run 6 goes on, and there is one at a time" in err
    server.before = "starting"  # its process has not come to take the lock
    assert command("run", plan, "--detach")[0] == 1
    assert not server.started
    server.before = "running"  # Flower takes one whose process died for a running one, for a while
    assert command("run", plan, "--detach")[0] == 0
