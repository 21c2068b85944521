"""Messages to simulated hospitals that never leave the process."""

from collections.abc import Callable, Iterable
from itertools import count

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp.client_app import ClientAppException
from flwr.common.constant import ErrorCode
from flwr.supercore.task_identity import TaskIdentity

from simulations.study.messages import number_message


class MemoryTransport:
    """Has an app answer each message in the moment in which it is sent; there is one node.

    Parameters
    ----------
    app : callable
        Flower's ClientApp of the simulation, or what answers as it does.
    """

    NODE = 1

    def __init__(self, app: Callable[[Message, Context], Message]) -> None:
        self._app = app
        self._numbers = count(1)
        self._replies: dict[str, Message] = {}
        # Flower numbers the ServerApp's process; without these no message can be made, and a worker has none.
        TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = self.NODE

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Send messages, as `Grid.push_messages`."""
        return [self._push(message) for message in messages]

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return the replies, each once, as `Grid.pull_messages`."""
        return [self._replies.pop(each) for each in message_ids if each in self._replies]

    def _push(self, message: Message) -> str:
        identity = f"message-{next(self._numbers)}"
        number_message(message, identity)
        self._replies[identity] = self._answer(message)
        return identity

    def _answer(self, message: Message) -> Message:
        try:
            return self._app(message, Context(1, self.NODE, {}, RecordDict(), {}))
        except Exception as error:  # noqa: BLE001 - as Flower's simulation does, and with the words that it reports
            raised = ClientAppException(str(error))
            reason = f"{type(raised)}:<'{raised}'>"
            return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason), reply_to=message)
