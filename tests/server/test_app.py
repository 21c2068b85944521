"""A run that was killed at its very end is given its name, and not trained again."""

from pathlib import Path
from typing import Any, cast

import pytest
from flwr.app import Context, RecordDict

from common.plan.training_plan import TrainingPlan
from server import app
from server.flower.app_bundle import RESUME_KEY
from server.members.server_folder import FOLDER_VARIABLE
from server.runs.run_naming import is_published, unfinished
from tests.server.federation_folder import make_folder

_NO_GRID = cast(Any, None)  # whatever would be asked of a hospital fails


def test_a_whole_run_only_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(tmp_path / "federation")
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder.root))
    final = folder.root / "runs" / "20261126-120000-north"
    rounds = unfinished(final) / "checkpoints" / "rounds" / "federation"
    rounds.mkdir(parents=True)
    for path in (rounds / "round-0002.json", unfinished(final) / "summary.json"):
        path.write_text("{}")
    settings = TrainingPlan().flat() | {RESUME_KEY: final.name}
    context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config=settings)
    app.app(_NO_GRID, context)
    assert is_published(final)
    assert not (final / "checkpoints" / "rounds" / "federation").exists()
    assert f"run folder: {final}" in capsys.readouterr().out
