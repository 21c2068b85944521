"""Where simulated hospitals keep the layers that they do not exchange."""

from collections.abc import Iterable
from pathlib import Path

from flwr.app import ConfigRecord, Message

from common.protocol.messages import CONFIG
from server.rounds.courier import Transport
from simulations.study.messages import LAYERS


class LayerFolderTransport:
    """A transport that names in every message the folder of the sites' own layers.

    A real hospital has a disk. In a simulation any process answers for any hospital, so the message must say where.

    Parameters
    ----------
    transport : Transport
        Takes the messages.
    layers : Path
        Absolute; each site has a folder in it.
    """

    def __init__(self, transport: Transport, layers: Path) -> None:
        self._transport = transport
        self._layers = layers

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages, as `Grid.push_messages`."""
        addressed = list(messages)
        for message in addressed:
            config = message.content[CONFIG]
            assert isinstance(config, ConfigRecord)
            config[LAYERS] = str(self._layers)
        return self._transport.push_messages(addressed)

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies that are there, as `Grid.pull_messages`."""
        return self._transport.pull_messages(message_ids)
