"""A federation over hospitals that answer in this process: weights, outliers, and going on after any round."""

from server.runs.round_records import learning_curve
from tests.server.rounds.hospitals_in_process import FaultyHospital, Hospital, RecordingObserver, federate


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


def test_an_update_far_larger_than_the_usual_is_left_out() -> None:
    hostile = FaultyHospital(4, "south", factor=100)
    honest = [Hospital(1, "east"), Hospital(2, "north"), Hospital(3, "west")]
    result = federate(*honest, hostile)
    assert all("times the usual" in report.failures["south"] for report in result.rounds)
    assert result.tail.tolist() == federate(*honest).tail.tolist()
    unguarded = federate(*honest, hostile, changes={"federation.largest_norm": 0})
    assert unguarded.tail[0] > 10 * result.tail[0]
