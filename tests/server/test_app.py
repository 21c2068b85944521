"""A run that was killed at its very end is gone on with where it stood, and no round is trained again."""

from collections import Counter
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict

from common.errors import RunError
from common.models.classifier import build_model
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.system.files import try_lock
from server import app
from server.flower.app_bundle import RESUME_KEY
from server.members.hospital import Hospital as Member
from server.members.server_folder import FOLDER_VARIABLE, ServerFolder
from server.runs.run_naming import final_name, is_published, unfinished, unfinished_runs
from tests.server.federation_folder import make_folder
from tests.server.rounds.hospitals_in_process import Hospital, InProcessTransport

_NO_GRID = cast(Any, None)  # whatever would be asked of a hospital fails
_PLAN = {
    "model.weights": "none",
    "federation.rounds": 1,
    "federation.min_sites": 1,
    "exchange.score_bins": 2,
}


class Killed(BaseException):
    """What no process survives."""


class CountingHospital(Hospital):
    """One that has the server's network, and counts what it is asked."""

    def __init__(self, plan: TrainingPlan) -> None:
        super().__init__(1, "alpha", trunk=build_model(plan, 2).trunk_digest)
        self.asked: Counter[str] = Counter()

    def answer(self, message: Message) -> Message:
        self.asked[message.metadata.message_type] += 1
        reply = super().answer(message)
        if message.metadata.message_type == "train":
            reply.content[messages.ARRAYS] = messages.tail_record(np.ones_like(messages.read_tail(message.content)))
        return reply


class GridInProcess(InProcessTransport):
    """With the one node that is online."""

    def get_node_ids(self) -> list[int]:
        return [1]


@pytest.fixture
def federation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServerFolder:
    folder = make_folder(tmp_path / "federation")
    (folder.hospitals / "alpha.json").write_text(Member(name="alpha", state="approved", node_id=1).model_dump_json())
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder.root))
    return folder


def run(grid: Any, resumed: str = "") -> None:
    settings = TrainingPlan.from_flat(_PLAN).flat() | ({RESUME_KEY: resumed} if resumed else {})
    app.app(grid, Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config=settings))


def test_a_whole_run_only_gets_its_name(federation: ServerFolder, capsys: pytest.CaptureFixture[str]) -> None:
    final = federation.root / "runs" / "20261126-120000-north"
    rounds = unfinished(final) / "checkpoints" / "rounds" / "federation"
    rounds.mkdir(parents=True)
    for path in (rounds / "round-0002.json", unfinished(final) / "summary.json"):
        path.write_text("{}")
    run(_NO_GRID, resumed=final.name)
    assert is_published(final)
    assert not (final / "checkpoints" / "rounds" / "federation").exists()
    assert f"run folder: {final}" in capsys.readouterr().out


@pytest.mark.slow
def test_a_kill_at_any_step_of_the_end_costs_no_round(
    federation: ServerFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital = CountingHospital(TrainingPlan.from_flat(_PLAN))
    runs, rename = federation.root / "runs", Path.replace
    steps = ("federated.safetensors", "model.safetensors", "plan.json", "card.md", "summary.json", "final", "latest")
    for step in steps:
        at_the_end = False

        def die_before(path: Path, target: Path | str, step: str = step) -> Path:
            nonlocal at_the_end
            name = "final" if path.is_dir() and not path.is_symlink() else Path(target).name
            at_the_end |= name == "federated.safetensors"
            if at_the_end and name == step:
                raise Killed
            return rename(path, target)

        trained = hospital.asked["train"]
        with monkeypatch.context() as dying:
            dying.setattr(Path, "replace", die_before)
            dying.setattr(Path, "rename", die_before)
            with pytest.raises(Killed):
                run(GridInProcess(hospital))
        assert hospital.asked["train"] == trained + 1, step
        if step == "latest":  # by then the run has its name
            continue
        (left,) = unfinished_runs(runs)
        run(GridInProcess(hospital), resumed=final_name(left).name)
        assert hospital.asked["train"] == trained + 1, step
        assert is_published(final_name(left)), step
        assert (final_name(left) / "summary.json").is_file(), step
    assert unfinished_runs(runs) == []


def test_a_second_federation_beside_one_is_refused_and_leaves_nothing(
    federation: ServerFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with federation.run_lock.open("a") as going:
        assert try_lock(going)
        with pytest.raises(RunError, match="another federation goes on"):
            run(_NO_GRID)
    assert capsys.readouterr().out.startswith("error: another federation goes on")
    assert not list(federation.root.glob("runs/*"))
