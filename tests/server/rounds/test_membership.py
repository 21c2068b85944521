"""Which hospitals take part in a round: introduced, present, in quarantine."""

import pytest

from common.errors import RunError
from common.protocol.refusals import Rule, refusal
from server.rounds.courier import Member
from server.rounds.observer import FederationObserver, RequireAllHospitals
from tests.server.rounds.hospitals_in_process import (
    Arrivals,
    FaultyHospital,
    Hospital,
    RecordingObserver,
    federate,
)


def test_hospitals_that_cannot_take_part_are_left_out_by_name_and_reason() -> None:
    observer = RecordingObserver()
    result = federate(
        Hospital(1, "north"),
        Hospital(2, "north"),
        Hospital(3, "east", trunk="b" * 64),
        Hospital(4, "?", says=refusal(Rule.FAMILIES)),
        Hospital(5, "west"),
        admitted={1: "north", 2: "south", 3: "east", 4: "centre", 5: "west"},
        observer=observer,
    )
    assert observer.taking_part == [["north", "west"]]
    assert observer.left_out["south"] == "goes by another name than south, as which it was admitted"
    assert "another frozen trunk" in observer.left_out["east"]
    assert observer.left_out["centre"] == "refused by rule families"
    assert [list(report.sites) for report in result.rounds] == [["north", "west"]] * 2
    assert result.tail.tolist() == [6.0] * 3  # the mean of 1 and 5, twice


def test_it_is_told_for_whom_the_federation_waits_and_what_ends_that() -> None:
    observer = RecordingObserver()
    looks = 0

    def present() -> list[Member]:  # one goes offline for a while before the first round
        nonlocal looks
        looks += 1
        return [Member(1, name="north"), *([] if 2 <= looks <= 4 else [Member(3, name="south")])]

    federate(Hospital(1, "north"), Hospital(3, "south"), present=present, min_sites=2, observer=observer)
    introducing, over, for_two, over_again = observer.waits
    assert (introducing or "").startswith("waiting for north, south to say who they are: 120 s at most")
    assert (for_two or "").startswith("waiting for 2 hospitals (federation.min_sites) to be there, 120 s at most")
    assert (for_two or "").endswith("south: offline")
    assert (over, over_again) == (None, None)


def test_two_of_one_name_cannot_both_take_part() -> None:
    observer = RecordingObserver()
    federate(Hospital(1, "north"), Hospital(2, "north"), observer=observer)
    assert observer.left_out == {"node 2": "another hospital goes by the name north already"}


def test_an_observer_that_requires_all_ends_the_run_without_one() -> None:
    with pytest.raises(RunError, match="node 2: refused by rule hours"):
        federate(Hospital(1, "north"), Hospital(2, "south", says=refusal(Rule.HOURS)), observer=RequireAllHospitals())


def test_too_few_hospitals_end_the_run_before_it_begins() -> None:
    with pytest.raises(RunError, match=r"1 of 2 hospitals take part, federation.min_sites is 2 \(south: refused"):
        federate(
            Hospital(1, "north"),
            Hospital(2, "south", says=refusal(Rule.APPS)),
            admitted={2: "south"},
            min_sites=2,
            observer=FederationObserver(),
        )


def test_one_that_could_not_introduce_itself_is_asked_again() -> None:
    observer = RecordingObserver()
    busy = Hospital(2, "south", fails_at_first=2)
    result = federate(Hospital(1, "north"), busy, min_sites=2, observer=observer)
    assert [list(report.sites) for report in result.rounds] == [["north", "south"]] * 2
    assert len(observer.troubles) == 2
    assert "asked again" in observer.troubles[0]


def test_one_that_is_gone_after_it_failed_to_introduce_itself_is_waited_for() -> None:
    hospitals = (Hospital(1, "north"), Hospital(2, "south", fails_at_first=1))
    looks: list[int] = []

    def present() -> list[Member]:
        looks.append(len(looks))
        return [Member(1)] if 0 < looks[-1] < 3 else [Member(1), Member(2)]

    changes = {"federation.round_attempts": 5}
    result = federate(*hospitals, min_sites=2, present=present, changes=changes, observer=FederationObserver())
    assert [list(report.sites) for report in result.rounds] == [["north", "south"]] * 2


def test_hospitals_that_come_later_take_part_from_the_next_round_on() -> None:
    hospitals = (Hospital(1, "north"), Hospital(3, "south"))
    arrivals = Arrivals(*hospitals, online={0: {1}, 1: {1}})
    result = federate(*hospitals, changes={"federation.rounds": 3}, present=arrivals, observer=arrivals)
    assert [list(report.sites) for report in result.rounds] == [["north"], ["north"], ["north", "south"]]
    assert arrivals.taking_part == [["north"], ["south"]]


def test_one_that_is_offline_is_not_asked_and_that_is_no_fault() -> None:
    hospitals = (Hospital(1, "north"), FaultyHospital(3, "south"))
    arrivals = Arrivals(*hospitals, online={1: {1}, 2: {1}, 3: {1}})
    changes = {"federation.rounds": 5, "federation.quarantine_after": 1, "federation.quarantine_rounds": 10}
    result = federate(*hospitals, changes=changes, present=arrivals, observer=arrivals)
    assert [report.failures for report in result.rounds] == [{}, *([{"south": "offline"}] * 3), {}]
    assert hospitals[1].asked == [1, 5]


def test_a_round_waits_for_enough_hospitals_and_no_longer_than_it_may() -> None:
    hospitals = (Hospital(1, "north"), Hospital(3, "south"))
    looks: list[int] = []

    def present() -> list[Member]:
        looks.append(len(looks))
        return [Member(1)] if 2 < len(looks) < 20 else [Member(1), Member(3)]

    assert len(federate(*hospitals, min_sites=2, present=present).rounds) == 2
    never = Arrivals(*hospitals, online={1: {1}})
    changes = {"federation.wait_seconds": 0.05, "federation.round_attempts": 2}
    with pytest.raises(RunError, match=r"round 2: 1 of 2 sites .*south: offline"):
        federate(*hospitals, min_sites=2, changes=changes, present=never, observer=never)


def test_a_hospital_with_repeated_faults_is_not_asked_for_a_while_and_then_again() -> None:
    bad = FaultyHospital(3, "south", bad={1, 2, 3, 4})
    changes = {"federation.rounds": 10, "federation.quarantine_after": 2, "federation.quarantine_rounds": 3}
    result = federate(Hospital(1, "north"), bad, changes=changes)
    assert bad.asked == [1, 2, 6, 7, 8, 9, 10]
    assert result.rounds[2].failures == {"south": "in quarantine until round 6"}
    assert [("south" in report.sites) for report in result.rounds] == [False] * 5 + [True] * 5


def test_quarantine_never_leaves_too_few_hospitals() -> None:
    bad = FaultyHospital(3, "south", bad={1, 2})
    changes = {"federation.rounds": 4, "federation.quarantine_after": 1, "federation.round_attempts": 1}
    with pytest.raises(RunError, match="round 1: 1 of 2 sites"):
        federate(Hospital(1, "north"), bad, changes=changes, min_sites=2)
    late = FaultyHospital(3, "south", bad={1})
    result = federate(Hospital(1, "north"), Hospital(2, "west"), late, changes=changes, min_sites=2)
    assert late.asked == [1]
    assert len(result.rounds) == 4


def test_one_that_comes_out_of_quarantine_introduces_itself_anew() -> None:
    grown = FaultyHospital(3, "south", bad={1})
    changes = {"federation.rounds": 4, "federation.quarantine_after": 1, "federation.quarantine_rounds": 1}
    federate(Hospital(1, "north"), grown, changes=changes)
    assert grown.introductions == 2
    assert grown.asked == [1, 3, 4]
