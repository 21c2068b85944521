"""Messages to hospitals that answer in this process: repeated, late, twice, or to another request."""

import pytest

from common.errors import RunError
from tests.server.rounds.hospitals_in_process import (
    FaultyHospital,
    Hospital,
    RecordingObserver,
    ReplayingHospital,
    SlowTransport,
    federate,
)


def test_a_round_with_too_few_replies_is_repeated_and_then_the_run_pauses() -> None:
    observer = RecordingObserver()
    bad = FaultyHospital(3, "south", bad={2})
    with pytest.raises(RunError, match=r"round 2: 1 of 2 sites .* the rounds before are safe"):
        federate(Hospital(1, "north"), bad, min_sites=2, observer=observer)
    assert bad.asked == [1, 2, 2, 2]
    assert len(observer.troubles) == 2
    assert "asked again" in observer.troubles[0]
    back = federate(Hospital(1, "north"), Hospital(3, "south"), min_sites=2, state=observer.states[-1])
    assert back.tail.tobytes() == federate(Hospital(1, "north"), Hospital(3, "south")).tail.tobytes()


def test_whoever_has_answered_is_not_asked_again_when_a_round_is_repeated() -> None:
    steady, shaky = FaultyHospital(1, "north"), FaultyHospital(3, "south", bad_attempts=2)
    result = federate(steady, shaky, min_sites=2)
    assert steady.asked == [1, 2]
    assert shaky.asked == [1, 1, 1, 2]
    assert result.tail.tolist() == federate(Hospital(1, "north"), Hospital(3, "south")).tail.tolist()


def test_late_replies_are_discarded_and_counted() -> None:
    hospitals = (Hospital(1, "north"), Hospital(3, "south"))
    changes = {"federation.round_seconds": 0.05, "federation.rounds": 3}
    transport = SlowTransport(*hospitals, slow=3, until=2)
    result = federate(*hospitals, transport=transport, changes=changes)
    assert result.rounds[0].failures == {"south": "no reply in time"}
    assert [report.late for report in result.rounds] == [{}, {"south": 1}, {}]
    assert [report.repeated for report in result.rounds] == [{}] * 3, "whoever has answered is not looked at again"
    assert result.tail.tolist() == [1.0 + 2.0 + 2.0] * 3


def test_of_two_replies_to_one_message_the_first_is_used_and_the_other_counted() -> None:
    hospitals = (Hospital(1, "north"), Hospital(3, "south"))
    transport = SlowTransport(*hospitals, slow=0, until=0, twice=3)
    result = federate(*hospitals, transport=transport)
    assert [report.repeated for report in result.rounds] == [{"south": 1}] * 2
    assert result.tail.tolist() == [4.0] * 3


def test_a_reply_of_an_earlier_round_is_refused() -> None:
    result = federate(Hospital(1, "north"), ReplayingHospital(3, "south"), Hospital(4, "west"))
    assert result.rounds[0].failures == {}
    assert "answers another request: round 1 instead of 2" in result.rounds[1].failures["south"]
