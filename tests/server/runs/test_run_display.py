"""What is seen of a run: its folder as the ServerApp writes it, on a terminal, in a file, and for TensorBoard."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from server.runs.reading import RunView, find_run, latest_run, view_run
from server.runs.run_display import RunDisplay
from server.runs.tensorboard import RoundEvents

HOSPITALS = {
    "alpha": {"node_id": 1, "version": "0.1.0", "accepts": True, "refused_by": None, "train_images": 40},
    "beta": {"node_id": 2, "version": "0.1.0", "accepts": False, "refused_by": "families"},
}


def entry(number: int, **changes: Any) -> dict[str, Any]:
    sites = {"alpha": {"images": 40, "train_loss": 0.5 / number, "change_norm": 1.5}}
    known = {"round": number, "seconds": 12.0, "train_loss": 0.5 / number, "sites": sites, "left_out": {}}
    return known | {"start": {"train_loss": None, "validation_accuracy": 0.8, "validation_auc": 0.9}} | changes


def write_run(folder: Path, rounds: list[dict[str, Any]], run_id: int = 7) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flower.json").write_text(json.dumps({"run_id": run_id}))
    (folder / "plan.json").write_text(json.dumps({"digest": "", "plan": {"federation": {"rounds": 3}}}))
    (folder / "hospitals.json").write_text(json.dumps(HOSPITALS))
    (folder / "rounds.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rounds))
    return folder


@pytest.fixture
def view(tmp_path: Path) -> RunView:
    return view_run(
        write_run(tmp_path / "20260101-120000-a.unfinished", [entry(1), entry(2, left_out={"beta": "slow"})])
    )


def test_runs_are_found_by_flowers_number(tmp_path: Path, view: RunView) -> None:
    write_run(tmp_path / "20260102-120000-b", [], run_id=8)
    (tmp_path / "latest").symlink_to("20260102-120000-b")
    found = find_run(tmp_path, 7)
    assert found == view
    assert find_run(tmp_path, 9) is None
    latest = latest_run(tmp_path)
    assert latest is not None
    assert latest.run_id == 8
    assert latest_run(tmp_path / "nothing") is None


def test_a_torn_or_empty_folder_is_no_error(tmp_path: Path) -> None:
    assert view_run(tmp_path).rounds == []
    (tmp_path / "rounds.jsonl").write_text(json.dumps(entry(1)) + "\n" + '{"round": 2, "sec')
    (tmp_path / "plan.json").write_text('{"plan": {"fed')
    assert [each["round"] for each in view_run(tmp_path).rounds] == [1]


def test_without_a_terminal_every_event_is_one_plain_line(view: RunView) -> None:
    output = io.StringIO()
    with RunDisplay(Console(file=output, width=80), 7) as progress:
        progress.show("pending", None)
        progress.show("running", view)
        progress.show("running", view)
    assert output.getvalue().splitlines() == [
        "run 7: pending",
        "run 7: running",
        "alpha: accepts the plan",
        "beta: refuses the plan: rule families",
        "round 1/3, train loss 0.5000, before it validation accuracy 0.8000, before it validation auc 0.9000, "
        "1 hospitals, 12 s",
        "round 2/3, train loss 0.2500, before it validation accuracy 0.8000, before it validation auc 0.9000, "
        "1 hospitals, 12 s, beta left out: slow",
    ]


def test_on_a_terminal_the_picture_shows_hospitals_and_rounds(view: RunView) -> None:
    output = io.StringIO()
    with RunDisplay(Console(file=output, width=120, force_terminal=True), 7) as progress:
        progress.show("pending", None)
        progress.show("running", view)
    shown = output.getvalue()
    for part in ("round 2 of 3", "alpha", "took part", "refuses the plan: rule families", "slow", "train loss 0.2500"):
        assert part in shown


def test_a_round_without_validation_can_be_shown(tmp_path: Path) -> None:
    output = io.StringIO()
    bare = view_run(write_run(tmp_path / "run", [entry(1, start={})]))
    with RunDisplay(Console(file=output, width=80), 7) as progress:
        progress.show("running", bare)
    assert "round 1/3, train loss 0.5000, 1 hospitals, 12 s" in output.getvalue()


def test_rounds_become_tensorboard_curves(tmp_path: Path) -> None:
    pytest.importorskip("torch.utils.tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = RoundEvents(tmp_path)
    events.add(entry(1))
    events.add(entry(2))
    events.close()
    read = EventAccumulator(str(tmp_path)).Reload()
    assert {"all/train_loss", "all/left_out", "start/validation_auc", "train_loss/alpha"} <= set(read.Tags()["scalars"])
    assert [scalar.step for scalar in read.Scalars("all/train_loss")] == [1, 2]


def test_without_tensorboard_it_is_said_once_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    events = RoundEvents(tmp_path / "events")
    events.add(entry(1))
    events.close()
    assert caplog.text.count("rarefed[tensorboard]") == 1
    assert not (tmp_path / "events").exists()
