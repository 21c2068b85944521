"""A federation over hospitals that answer in this process: weights, outliers, and going on after any round."""

from pathlib import Path
from typing import get_args

import pytest

from common.errors import RunError
from common.plan.selection import SelectionName
from server.rounds.checkpoints import Checkpoints
from server.rounds.quarantine import outliers
from server.runs.round_records import learning_curve
from tests.server.rounds.hospitals_in_process import (
    FaultyHospital,
    Hospital,
    RecordingObserver,
    UnsteadyHospital,
    federate,
)


def test_a_federation_goes_on_from_any_round_as_if_nothing_had_been() -> None:
    for strategy in ("fedavg", "fedavgm", "fedadam", "fedyogi", "fedmedian"):
        changes = {"federation.rounds": 6, "federation.strategy": strategy}
        observer = RecordingObserver()
        whole = federate(Hospital(1, "north"), Hospital(3, "south"), changes=changes, observer=observer)
        for state in observer.states:
            rest = federate(Hospital(1, "north"), Hospital(3, "south"), changes=changes, state=state)
            assert rest.tail.tobytes() == whole.tail.tobytes()
            assert [report.round for report in rest.rounds] == [1, 2, 3, 4, 5, 6]
            assert learning_curve(rest, 6) == learning_curve(whole, 6)


@pytest.mark.parametrize("rule", get_args(SelectionName))
def test_what_is_kept_does_not_depend_on_an_interruption(rule: str, tmp_path: Path) -> None:
    """After every round a checkpoint is written, and the federation goes on from what is read of it."""
    losses = [0.9, 0.5, 0.41, 0.6, 0.4, 0.42, 0.6, 0.5, 0.7]
    changes = {"federation.rounds": len(losses) - 1, "federation.select": rule}
    hospitals = [UnsteadyHospital(1, "north", losses), UnsteadyHospital(3, "south", losses[::-1], absent={4, 6})]
    observer = RecordingObserver()
    whole = federate(*hospitals, changes=changes, observer=observer)
    for state in observer.states:
        checkpoints = Checkpoints(tmp_path / str(len(state.rounds)), "plan")
        checkpoints.save(state)
        rest = federate(*hospitals, changes=changes, state=checkpoints.latest(pytest.fail))
        assert rest.tail.tobytes() == whole.tail.tobytes()
        assert (rest.selected_round, rest.averaged_from) == (whole.selected_round, whole.averaged_from)


def test_an_average_is_what_is_tested_and_says_of_which_rounds_it_is() -> None:
    # Each round adds 2, the mean of the hospitals' numbers.
    changes = {"federation.rounds": 12, "federation.select": "mean"}
    result = federate(Hospital(1, "north"), Hospital(3, "south"), changes=changes)
    assert (result.averaged_from, result.selected_round) == (10, 12)
    assert result.tail.tolist() == [22, 22, 22]


def test_an_update_far_larger_than_the_usual_is_left_out() -> None:
    hostile = FaultyHospital(4, "south", factor=100)
    honest = [Hospital(1, "east"), Hospital(2, "north"), Hospital(3, "west")]
    result = federate(*honest, hostile)
    assert all("times the usual" in report.failures["south"] for report in result.rounds)
    assert result.tail.tolist() == federate(*honest).tail.tolist()
    unguarded = federate(*honest, hostile, changes={"federation.largest_norm": 0})
    assert unguarded.tail[0] > 10 * result.tail[0]


@pytest.mark.parametrize("strategy", ["fedavg", "fedmedian"])
def test_of_two_hospitals_neither_destroys_the_model_unseen(strategy: str) -> None:
    changes = {"federation.rounds": 2, "federation.strategy": strategy, "federation.retry_seconds": 0}
    with pytest.raises(RunError, match="round 1: 0 of 2"):
        federate(Hospital(1, "north"), FaultyHospital(3, "south", factor=1e20), changes=changes)


def test_half_of_the_norms_do_not_make_a_huge_update_usual() -> None:
    assert set(outliers({"north": 1.0, "south": 1e20}, [1.0, 1e20], 10)) == {"north", "south"}
    assert set(outliers({"north": 1.0, "south": 1e20}, [1.0, 1.0], 10)) == {"south"}
    assert set(outliers({"a": 1.0, "b": 2.0, "c": 1e20, "d": 1e20}, [], 10)) == {"a", "b", "c", "d"}


@pytest.mark.parametrize("honest", [(5.0,), (1.0, 4.0), (1.0, 2.0, 9.0)])
@pytest.mark.parametrize("factor", [0.9, 0.5, 0.05])
def test_half_of_the_norms_do_not_leave_an_honest_update_out(honest: tuple[float, ...], factor: float) -> None:
    """Hospitals that send smaller and smaller updates would be the only ones that are used."""
    recent: list[float] = []
    for number in range(100):
        norms = {f"honest {norm}": norm for norm in honest}
        norms |= {f"liar {norm}": honest[0] * factor**number for norm in honest}
        left_out = outliers(norms, recent, 10)
        assert left_out.keys() in (set(), norms.keys())
        if left_out:
            break
        recent = [*recent, *norms.values()][-3 * len(norms) :]
    assert left_out


def test_half_of_the_norms_do_not_creep_up() -> None:
    assert outliers({"honest": 1.0, "liar": 9.9}, [], 10) == {}
    assert set(outliers({"honest": 1.0, "liar": 31.0}, [1.0, 9.9], 10)) == {"honest", "liar"}
    assert set(outliers({"honest": 1.0, "liar": 32.0}, [1.0, 3.1], 10)) == {"liar"}


@pytest.mark.parametrize("norms", [(1.0, 1.2, 2.4, 30.0), (1.0, 1.4, 1.7, 1.9, 2.0, 2.1, 3.0, 30.0)])
def test_one_of_many_stops_nobody(norms: tuple[float, ...]) -> None:
    names = [f"{number}" for number in range(len(norms))]
    assert set(outliers(dict(zip(names, norms, strict=True)), [], 10)) == {names[-1]}
    assert outliers(dict(zip(names, (*norms[:-1], 15.0), strict=True)), [], 10) == {}


def test_updates_that_shrink_together_are_used() -> None:
    assert outliers({"north": 0.1, "south": 0.12}, [5.0, 6.0], 10) == {}
    assert outliers({}, [0.1, 5.0], 10) == {}


def test_hospitals_of_two_sizes_take_part() -> None:
    assert outliers({"a": 1.0, "b": 1.0, "c": 9.0, "d": 9.0}, [], 10) == {}
    assert set(outliers({"a": 1.0, "b": 1.0, "c": 9.0, "d": 95.0}, [], 10)) == {"d"}
