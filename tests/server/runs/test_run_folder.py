import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan
from server.runs.run_folder import RunFolder
from server.runs.run_naming import reserve_run, unfinished


def test_a_finished_run_takes_its_name_and_becomes_the_latest(tmp_path: Path) -> None:
    for name in ("first", "second"):
        final = reserve_run(tmp_path / "runs", name)
        with RunFolder(final) as folder:
            assert folder.path == unfinished(final)
            assert folder.path.is_dir()
            folder.log("hello")
            folder.write_plan(TrainingPlan())
        assert not unfinished(final).exists()
        assert (final / "run.log").read_text() == "hello\n"
        assert (tmp_path / "runs" / "latest").resolve() == final.resolve()
    assert json.loads((final / "plan.json").read_text())["digest"] == TrainingPlan().digest


def test_a_run_is_whole_where_latest_cannot_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    final = reserve_run(tmp_path, "x")
    with RunFolder(final) as folder:
        folder.log("hello")
    assert {path.name for path in tmp_path.iterdir()} == {"latest", final.name}
    assert (final / "run.log").read_text() == (
        f"hello\n{tmp_path}/latest was not moved to this run (is a folder, not a link): remove it, or look for runs by "
        "their time\n"
    )


def test_a_failed_run_stays_unfinished_and_is_not_the_latest(tmp_path: Path) -> None:
    final = reserve_run(tmp_path, "x")
    folder = RunFolder(final).__enter__()
    folder.log("error: so it goes")
    folder.__exit__(RuntimeError, RuntimeError(), None)
    assert not final.exists()
    assert (unfinished(final) / "run.log").read_text() == "error: so it goes\n"
    assert not (tmp_path / "latest").exists()


def test_rounds_are_lines_of_json(tmp_path: Path) -> None:
    with RunFolder(reserve_run(tmp_path, "x")) as folder:
        folder.append_round({"round": 1})
        folder.append_round({"round": 2, "loss": None})
        with pytest.raises(ValueError, match="not JSON compliant"):
            folder.append_round({"loss": float("nan")})
    lines = (folder.path / "rounds.jsonl").read_text().splitlines()
    assert [json.loads(line)["round"] for line in lines] == [1, 2]


def test_a_tail_is_stored_under_its_tensors_names(tmp_path: Path) -> None:
    layout = TailLayout(("a", "b"), ((2, 2), (1,)))
    with RunFolder(reserve_run(tmp_path, "x")) as folder:
        folder.write_tail("federated", np.arange(5, dtype=np.float32), layout, {"plan_digest": "abc"})
    with safe_open(folder.path / "checkpoints" / "federated.safetensors", "numpy") as stored:
        assert stored.metadata() == {"plan_digest": "abc"}
        assert stored.get_tensor("a").tolist() == [[0, 1], [2, 3]]
        assert stored.get_tensor("b").tolist() == [4]
