"""A SuperLink that dies while it is sent something, and a node that dies while it sends."""

import time

import pytest

from common.errors import RunError
from server.rounds.courier import Transport
from server.rounds.grid_transport import DIED_SENDING, GridTransport
from tests.server.rounds.superlink_in_process import SuperLinkInProcess


def test_what_a_superlink_lost_at_its_death_is_sent_again_and_arrives_once() -> None:
    superlink = SuperLinkInProcess()
    node = superlink.node()
    superlink.deaths = 2
    (sent,) = GridTransport(superlink.grid, pauses=[0, 0, 0]).push_messages([superlink.question(node)])
    (received,) = superlink.received(node)
    assert received.metadata.message_id == sent
    assert superlink.grid.pull_messages([sent]) == []  # whole, and waiting for the node's answer


def test_a_superlink_that_never_takes_a_message_pauses_the_run() -> None:
    superlink = SuperLinkInProcess()
    node = superlink.node()
    superlink.deaths = 99
    with pytest.raises(RunError, match=r"in 3 attempts .* `rarefed-server resume`"):
        GridTransport(superlink.grid, pauses=[0, 0]).push_messages([superlink.question(node)])


@pytest.mark.timeout(30)
def test_a_node_that_dies_in_its_upload_holds_nobody_up() -> None:
    superlink = SuperLinkInProcess()
    nodes = [superlink.node() for _ in range(3)]
    transport: Transport = GridTransport(superlink.grid)
    ids = list(transport.push_messages([superlink.question(node) for node in nodes]))
    superlink.answer(nodes[0], whole=False)
    superlink.answer(nodes[1], whole=True)
    assert answered(transport, ids, 1) == {ids[1]: ""}
    assert list(transport.pull_messages([ids[0], ids[2]])) == []  # slow, perhaps, as long as it is online
    superlink.state.deactivate_node(nodes[0])
    assert answered(transport, [ids[0], ids[2]], 1) == {ids[0]: DIED_SENDING}
    superlink.answer(nodes[2], whole=True)
    assert answered(transport, [ids[2]], 1) == {ids[2]: ""}
    superlink.complete(nodes[0])


def answered(transport: Transport, ids: list[str], count: int) -> dict[str, str]:
    """Return for each message that is answered the error, or nothing, once there are so many."""
    found: dict[str, str] = {}
    deadline = time.monotonic() + 10
    while len(found) < count and time.monotonic() < deadline:
        for reply in transport.pull_messages([each for each in ids if each not in found]):
            found[reply.metadata.reply_to_message_id] = (reply.error.reason or "") if reply.has_error() else ""
    return found
