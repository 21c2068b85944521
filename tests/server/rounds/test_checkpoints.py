"""Checkpoints: what was saved comes back bit for bit, and what was damaged never does."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from common.errors import RunError
from common.evaluation.evaluation_counts import EvaluationCounts
from common.evaluation.ranked_pairs import RankedPairs
from common.evaluation.score_histogram import ScoreHistogram
from common.training.selection_rules import KeptModel
from server.rounds.checkpoints import Checkpoints
from server.rounds.quarantine import QuarantineStatus
from server.rounds.reply_checks import SiteReport
from server.rounds.state import FailedAttempt, FederationState, RoundReport

SCORE = EvaluationCounts(
    1 / 3,
    np.array([[2, 0], [1, 1]]),
    ScoreHistogram(np.array([[[1, 1], [1, 1]], [[1, 1], [1, 1]]], dtype=np.int64)),
    RankedPairs.from_areas([0.75], np.array([2, 2])),
)


def state_after(rounds: int) -> FederationState:
    rng = np.random.default_rng(rounds)
    reports = tuple(
        RoundReport(
            number,
            0.1 * number,
            {"north": SiteReport(10, 1 / number, 2 / 3, SCORE), "south": SiteReport(3, None, 0.1, None)},
            {"west": "no reply in time"},
            SCORE if number % 2 else None,
            {"north": 1},
            {"south": 2},
            (FailedAttempt(1, {"south": "failed: training", "west": "no reply in time"}),) if number == 2 else (),
        )
        for number in range(1, rounds + 1)
    )
    return FederationState(
        tail=rng.normal(size=50).astype(np.float32),
        kept=KeptModel(rng.normal(size=50).astype(np.float32), 10, 9, 2) if rounds > 10 else None,
        optimizer={"first-moment": rng.normal(size=50), "second-moment": rng.normal(size=50).astype(np.float32)},
        rounds=reports,
        quarantine={"west": QuarantineStatus(2, 7)},
        federation="3f",
    )


def assert_equal(one: FederationState | None, other: FederationState) -> None:
    assert one is not None
    assert one.tail.tobytes() == other.tail.tobytes()
    assert (one.kept is None) == (other.kept is None)
    if one.kept is not None and other.kept is not None:
        assert one.kept.tail.tobytes() == other.kept.tail.tobytes()
        assert replace(one.kept, tail=other.kept.tail) == other.kept
    assert {name: (value.dtype, value.tobytes()) for name, value in one.optimizer.items()} == {
        name: (value.dtype, value.tobytes()) for name, value in other.optimizer.items()
    }
    assert repr(one.rounds) == repr(other.rounds)
    assert one.quarantine == other.quarantine
    assert one.federation == other.federation


def silent(line: str) -> None:
    raise AssertionError(line)


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "rounds", "plan")
    assert checkpoints.latest(silent) is None
    for rounds in (1, 2, 3, 11, 12):
        checkpoints.save(state_after(rounds))
        assert_equal(checkpoints.latest(silent), state_after(rounds))


def test_old_ones_go_and_the_last_and_the_best_stay(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "plan", keep=2)
    (tmp_path / ".round-0003.json.x.part").write_text("left by a writer that was killed")
    for rounds in range(1, 12):
        checkpoints.save(state_after(rounds))
    # What is kept was the tail after the tenth round.
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"round-{number:04}.{suffix}" for number in (10, 11) for suffix in ("json", "safetensors")
    ]
    for rounds in range(12, 15):
        checkpoints.save(state_after(rounds))
    assert sorted(path.stem for path in tmp_path.glob("*.json")) == ["round-0010", "round-0013", "round-0014"]


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
def test_any_flipped_byte_makes_the_one_before_be_used(tmp_path: Path, suffix: str) -> None:
    checkpoints = Checkpoints(tmp_path, "plan")
    for rounds in (1, 2):
        checkpoints.save(state_after(rounds))
    path = tmp_path / f"round-0002.{suffix}"
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        said: list[str] = []
        found = checkpoints.latest(said.append)
        assert_equal(found, state_after(1))
        assert "round-0002" in said[0]


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
@pytest.mark.parametrize("length", [0, 10, -1])
def test_a_torn_or_missing_file_is_no_checkpoint(tmp_path: Path, suffix: str, length: int) -> None:
    checkpoints = Checkpoints(tmp_path, "plan")
    for rounds in (1, 2):
        checkpoints.save(state_after(rounds))
    path = tmp_path / f"round-0002.{suffix}"
    if length < 0:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:length])
    assert_equal(checkpoints.latest(lambda line: None), state_after(1))


def test_another_trainings_checkpoint_is_neither_taken_over_nor_removed(tmp_path: Path) -> None:
    Checkpoints(tmp_path, "plan").save(state_after(5))
    with pytest.raises(RunError, match=r"round-0005: belongs to another plan, trunk or version; go on with the plan"):
        Checkpoints(tmp_path, "another plan").latest(silent)
    assert_equal(Checkpoints(tmp_path, "plan").latest(silent), state_after(5))


def test_no_usable_checkpoint_is_no_reason_to_begin_anew(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "plan")
    for rounds in (1, 2):
        checkpoints.save(state_after(rounds))
        (tmp_path / f"round-000{rounds}.json").write_text("{}")
    said: list[str] = []
    with pytest.raises(RunError, match="none of its 2 checkpoints can be used"):
        checkpoints.latest(said.append)
    assert len(said) == 2


def test_damaged_checkpoints_of_later_rounds_do_not_displace_new_ones(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "plan", keep=2)
    for rounds in (3, 8, 9):
        checkpoints.save(state_after(rounds))
    for rounds in (8, 9):
        (tmp_path / f"round-000{rounds}.safetensors").write_bytes(b"")
    checkpoints.save(state_after(4))
    checkpoints.save(state_after(5))
    assert_equal(checkpoints.latest(lambda line: None), state_after(5))


@pytest.mark.parametrize("lost", ["standings", "federation", "kept"])
def test_a_sound_checkpoint_of_another_version_is_refused_by_name(tmp_path: Path, lost: str) -> None:
    checkpoints = Checkpoints(tmp_path, "plan")
    checkpoints.save(state_after(2))
    path = tmp_path / "round-0002.json"
    known = json.loads(path.read_text())
    del known[lost]
    digest = known.pop("digest")
    known["digest"] = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
    assert known["digest"] != digest
    path.write_text(json.dumps(known))
    with pytest.raises(RunError, match="round-0002: was written by another version"):
        checkpoints.latest(silent)


@pytest.mark.parametrize("text", ["[]", "1", "[" * 100_000])
def test_json_that_is_no_checkpoint(tmp_path: Path, text: str) -> None:
    checkpoints = Checkpoints(tmp_path, "plan")
    checkpoints.save(state_after(1))
    (tmp_path / "round-0002.json").write_text(text)
    assert_equal(checkpoints.latest(lambda line: None), state_after(1))
