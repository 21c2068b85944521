"""Registers approved hospitals with Flower and unregisters revoked keys."""

from collections.abc import Callable, Mapping

from common.errors import RarefedError
from server.flower.control_api import Control
from server.flower.node_key import key_bytes
from server.flower.nodes_and_runs import Node
from server.members.hospital import Hospital
from server.members.registry import Registry
from server.members.server_folder import ServerFolder


class Registration:
    """Makes Flower's list of hospitals equal to the server's registry.

    A hospital is recognised by its key. So nothing is lost when the server is killed after it has registered a hospital
    and before it has written down the node, and hospitals are registered again when Flower's database is new.

    Parameters
    ----------
    folder : ServerFolder
        The folder with the registry.
    control : Control
        The running server.
    say : callable
        Takes one line per event.
    """

    def __init__(self, folder: ServerFolder, control: Control, say: Callable[[str], None]) -> None:
        self._registry = Registry(folder)
        self._control = control
        self._say = say
        self._troubles: dict[str, str] = {}

    def sync(self) -> None:
        """Compare once, and register and unregister; raises `RarefedError` if registry or nodes cannot be read."""
        nodes = {node.key: node for node in self._control.list_nodes()}
        hospitals, damaged = self._registry.survey()
        for name, trouble in damaged.items():
            self._tell(name, trouble)
        for name, hospital in hospitals.items():
            try:
                self._unregister_revoked(hospital, nodes)
                if hospital.state == "approved" and hospital.public_key:
                    self._register(hospital, hospital.public_key, nodes)
                self._troubles.pop(name, None)
            except RarefedError as error:
                self._tell(name, str(error))

    def _tell(self, name: str, trouble: str) -> None:
        """Say a trouble once, not every three seconds; the other hospitals go on."""
        if self._troubles.get(name) != trouble:
            self._say(f"hospital {name}: {trouble}")
        self._troubles[name] = trouble

    def _register(self, hospital: Hospital, key: str, nodes: Mapping[bytes, Node]) -> None:
        node = nodes.get(key_bytes(key))
        if node is not None:
            node_id = node.id
        else:
            if hospital.node_id is not None:
                self._say(f"hospital {hospital.name}: Flower does not know it any more; registering it again")
            node_id = self._control.register(key, hospital.name)
            self._say(f"hospital {hospital.name}: registered as node {node_id}")
        if node_id != hospital.node_id:
            self._registry.note_node(hospital.name, node_id)

    def _unregister_revoked(self, hospital: Hospital, nodes: Mapping[bytes, Node]) -> None:
        """Unregister the nodes of a hospital's revoked keys: its last one, and those that it replaced."""
        for key in hospital.revoked_keys:
            node = nodes.get(key_bytes(key))
            if node is not None:
                self._control.unregister(node.id)
                self._say(f"hospital {hospital.name}: a revoked key, node {node.id}, is shut out")
        if hospital.state == "revoked" and hospital.node_id is not None:
            self._registry.note_node(hospital.name, None)
