"""What a hospital may send in place of an honest update: it is left out of that round by name and reason."""

import re

import pytest
from flwr.app import Message

from common.protocol import messages
from tests.faults.malformed_ways import REASONS, ways
from tests.server.rounds.hospitals_in_process import Hospital, federate

WAYS = ways()


class MalformedHospital(Hospital):
    """One whose reply to the second round is spoiled: by then it is known which size is usual, and what was said."""

    def __init__(self, node: int, name: str, way: str) -> None:
        super().__init__(node, name)
        self._way = way

    def answer(self, message: Message) -> Message:
        reply = super().answer(message)
        training = message.metadata.message_type == "train"
        if training and messages.read_int(message.content, messages.ROUND) == 2:
            WAYS[self._way](reply.content)
        return reply


def test_every_way_has_its_reason() -> None:
    assert WAYS.keys() == REASONS.keys()


@pytest.mark.parametrize("way", [way for way in REASONS if way != "too late"])
def test_a_malformed_reply_leaves_that_hospital_out_of_that_round(way: str) -> None:
    changes = {"federation.rounds": 3}
    result = federate(Hospital(1, "north"), MalformedHospital(3, "south", way), changes=changes)
    assert [sorted(report.sites) for report in result.rounds] == [["north", "south"], ["north"], ["north", "south"]]
    assert result.rounds[1].failures.keys() == {"south"}
    assert re.search(REASONS[way], result.rounds[1].failures["south"])
    # As if it had not been there: each round adds the mean of the hospitals' numbers.
    assert result.tail.tolist() == [2 + 1 + 2] * 3
