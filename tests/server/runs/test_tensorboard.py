from pathlib import Path

import pytest

from server.runs.tensorboard import RoundEvents
from tests.server.runs.written_run import entry


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


def test_a_resumed_run_has_each_round_once(tmp_path: Path) -> None:
    pytest.importorskip("torch.utils.tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for rounds in ((1, 2), (1, 2, 3)):
        events = RoundEvents(tmp_path)
        for number in rounds:
            events.add(entry(number))
        events.close()
    read = EventAccumulator(str(tmp_path)).Reload()
    assert [scalar.step for scalar in read.Scalars("all/train_loss")] == [1, 2, 3]


def test_without_tensorboard_it_is_said_once_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    events = RoundEvents(tmp_path / "events")
    events.add(entry(1))
    events.close()
    assert caplog.text.count("rarefed[tensorboard]") == 1
    assert not (tmp_path / "events").exists()
