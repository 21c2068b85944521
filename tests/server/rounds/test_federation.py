"""A federation over a transport that answers in this process: who is left out, and what becomes of the rest."""

from typing import Any

import pytest

from common.errors import RunError
from common.protocol.refusals import Rule, refusal
from server.rounds.messaging import Member
from server.rounds.state import FederationState
from server.runs.round_records import federated_evaluation, history, metrics_of_score
from tests.server.rounds.hospitals_in_process import (
    Arrivals,
    FaultyHospital,
    Hospital,
    ReplayingHospital,
    SlowTransport,
    federate,
)


def test_hospitals_that_cannot_take_part_are_left_out_by_name_and_reason() -> None:
    told: dict[str, str] = {}
    present: list[str] = []

    def note(infos: Any, left_out: Any) -> None:
        present.extend(info.name for info in infos)
        told.update(left_out)

    result = federate(
        Hospital(1, "north"),
        Hospital(2, "north"),
        Hospital(3, "east", trunk="b" * 64),
        Hospital(4, "?", says=refusal(Rule.FAMILIES)),
        Hospital(5, "west"),
        admitted={1: "north", 2: "south", 3: "east", 4: "centre", 5: "west"},
        on_introduced=note,
    )
    assert present == ["north", "west"]
    assert told["south"] == "goes by the name north, was admitted as south"
    assert "another frozen trunk" in told["east"]
    assert told["centre"] == "refused by rule families"
    assert [list(report.sites) for report in result.rounds] == [["north", "west"]] * 2
    assert result.tail.tolist() == [6.0] * 3  # the mean of 1 and 5, twice


def test_two_of_one_name_cannot_both_take_part() -> None:
    told: dict[str, str] = {}
    federate(Hospital(1, "north"), Hospital(2, "north"), on_introduced=lambda infos, left_out: told.update(left_out))
    assert told == {"node 2": "another hospital goes by the name north already"}


def test_by_default_all_must_take_part() -> None:
    with pytest.raises(RunError, match="node 2: refused by rule hours"):
        federate(Hospital(1, "north"), Hospital(2, "south", says=refusal(Rule.HOURS)))


def test_too_few_hospitals_end_the_run_before_it_begins() -> None:
    with pytest.raises(RunError, match=r"1 of 2 hospitals take part, federation.min_sites is 2 \(south: refused"):
        federate(
            Hospital(1, "north"),
            Hospital(2, "south", says=refusal(Rule.APPS)),
            admitted={2: "south"},
            min_sites=2,
            on_introduced=lambda infos, left_out: None,
        )


def test_one_that_could_not_introduce_itself_is_asked_again() -> None:
    said: list[str] = []
    busy = Hospital(2, "south", fails_at_first=2)
    result = federate(
        Hospital(1, "north"), busy, min_sites=2, on_introduced=lambda infos, left_out: None, on_trouble=said.append
    )
    assert [list(report.sites) for report in result.rounds] == [["north", "south"]] * 2
    assert len(said) == 2
    assert "asked again" in said[0]


def test_one_that_is_gone_after_it_failed_to_introduce_itself_is_waited_for() -> None:
    hospitals = (Hospital(1, "north"), Hospital(2, "south", fails_at_first=1))
    looks: list[int] = []

    def present() -> list[Member]:
        looks.append(len(looks))
        return [Member(1)] if 0 < looks[-1] < 3 else [Member(1), Member(2)]

    changes = {"federation.round_attempts": 5}
    result = federate(
        *hospitals, min_sites=2, present=present, changes=changes, on_introduced=lambda infos, left_out: None
    )
    assert [list(report.sites) for report in result.rounds] == [["north", "south"]] * 2


def test_hospitals_that_share_no_scores_still_train_a_model() -> None:
    result = federate(Hospital(1, "north", shares=False), Hospital(3, "south", shares=False))
    assert result.selected_round == 2
    assert result.test == {}
    assert [report.train_loss for report in result.rounds] == [None, None]
    assert federated_evaluation(result) is None
    assert all(point["validation_loss"] is None for point in history(result, 2))


def test_one_hospital_that_shares_speaks_for_itself_alone() -> None:
    result = federate(Hospital(1, "north"), Hospital(3, "south", shares=False))
    assert list(result.test) == ["north"]
    assert result.rounds[0].train_loss == 0.7
    metrics = metrics_of_score(result.test["north"])
    assert (metrics["correct"], metrics["total"], metrics["sensitivity"], metrics["specificity"]) == (3, 4, 0.5, 1.0)
    # Wilson's interval of 3 in 4.
    assert metrics["ci95"]["accuracy"] == pytest.approx([0.3006, 0.9544], abs=1e-4)
    assert metrics["auc"] == 0.5


def test_a_federation_goes_on_from_any_round_as_if_nothing_had_been() -> None:
    for strategy in ("fedavg", "fedavgm", "fedadam", "fedyogi", "fedmedian"):
        changes = {"federation.rounds": 6, "federation.strategy": strategy}
        states: list[FederationState] = []
        whole = federate(Hospital(1, "north"), Hospital(3, "south"), changes=changes, on_state=states.append)
        for state in states:
            rest = federate(Hospital(1, "north"), Hospital(3, "south"), changes=changes, state=state)
            assert rest.tail.tobytes() == whole.tail.tobytes()
            assert [report.round for report in rest.rounds] == [1, 2, 3, 4, 5, 6]
            assert history(rest, 6) == history(whole, 6)


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


def test_a_round_with_too_few_replies_is_repeated_and_then_the_run_pauses() -> None:
    said: list[str] = []
    kept: list[FederationState] = []
    bad = FaultyHospital(3, "south", bad={2})
    with pytest.raises(RunError, match=r"round 2: 1 of 2 sites .* the rounds before are safe"):
        federate(Hospital(1, "north"), bad, min_sites=2, on_trouble=said.append, on_state=kept.append)
    assert bad.asked == [1, 2, 2, 2]
    assert len(said) == 2
    assert "asked again" in said[0]
    back = federate(Hospital(1, "north"), Hospital(3, "south"), min_sites=2, state=kept[-1])
    assert back.tail.tobytes() == federate(Hospital(1, "north"), Hospital(3, "south")).tail.tobytes()


def test_an_update_far_larger_than_the_usual_is_left_out() -> None:
    hostile = FaultyHospital(4, "south", factor=100)
    honest = [Hospital(1, "east"), Hospital(2, "north"), Hospital(3, "west")]
    result = federate(*honest, hostile)
    assert all("times the usual" in report.failures["south"] for report in result.rounds)
    assert result.tail.tolist() == federate(*honest).tail.tolist()
    unguarded = federate(*honest, hostile, changes={"federation.largest_norm": 0})
    assert unguarded.tail[0] > 10 * result.tail[0]


def test_whoever_has_answered_is_not_asked_again_when_a_round_is_repeated() -> None:
    steady, shaky = FaultyHospital(1, "north"), FaultyHospital(3, "south", bad_attempts=2)
    result = federate(steady, shaky, min_sites=2)
    assert steady.asked == [1, 2]
    assert shaky.asked == [1, 1, 1, 2]
    assert result.tail.tolist() == federate(Hospital(1, "north"), Hospital(3, "south")).tail.tolist()


def test_hospitals_that_come_later_take_part_from_the_next_round_on() -> None:
    hospitals = (Hospital(1, "north"), Hospital(3, "south"))
    arrivals = Arrivals(*hospitals, online={0: {1}, 1: {1}})
    told: list[list[str]] = []
    result = federate(
        *hospitals,
        changes={"federation.rounds": 3},
        present=arrivals,
        on_round=arrivals.note,
        on_introduced=lambda infos, left_out: told.append([info.name for info in infos]),
    )
    assert [list(report.sites) for report in result.rounds] == [["north"], ["north"], ["north", "south"]]
    assert told == [["north"], ["south"]]


def test_one_that_is_offline_is_not_asked_and_that_is_no_fault() -> None:
    hospitals = (Hospital(1, "north"), FaultyHospital(3, "south"))
    arrivals = Arrivals(*hospitals, online={1: {1}, 2: {1}, 3: {1}})
    changes = {"federation.rounds": 5, "federation.quarantine_after": 1, "federation.quarantine_rounds": 10}
    result = federate(*hospitals, changes=changes, present=arrivals, on_round=arrivals.note)
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
        federate(*hospitals, min_sites=2, changes=changes, present=never, on_round=never.note)


def test_one_that_comes_out_of_quarantine_introduces_itself_anew() -> None:
    grown = FaultyHospital(3, "south", bad={1})
    changes = {"federation.rounds": 4, "federation.quarantine_after": 1, "federation.quarantine_rounds": 1}
    federate(Hospital(1, "north"), grown, changes=changes)
    assert grown.introductions == 2
    assert grown.asked == [1, 3, 4]


def test_late_replies_are_discarded_and_counted() -> None:
    hospitals = (Hospital(1, "north"), Hospital(3, "south"))
    changes = {"federation.round_seconds": 0.05, "federation.rounds": 3}
    transport = SlowTransport(*hospitals, slow=3, until=2)
    result = federate(*hospitals, transport=transport, changes=changes)
    assert result.rounds[0].failures == {"south": "no reply in time"}
    assert [report.late for report in result.rounds] == [{}, {"south": 1}, {}]
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
