"""Which hospitals can be asked, and where: by the server's registry, as it is at this moment."""

from collections.abc import Iterable

from flwr.serverapp import Grid

from common.errors import InputError
from server.members.hospital import Hospital
from server.members.registry import Registry
from server.members.server_folder import ServerFolder
from server.rounds.courier import Member


class Roster:
    """The approved hospitals; read anew at every question, so that an approval or a revocation counts at once.

    One whose record cannot be read is not approved; the others are not concerned.

    Parameters
    ----------
    folder : ServerFolder
        With the registry.
    grid : Grid
        Flower's, which knows who is online.
    """

    def __init__(self, folder: ServerFolder, grid: Grid) -> None:
        self._registry = Registry(folder)
        self._grid = grid

    def present(self) -> list[Member]:
        """Return the approved hospitals that are online, in the order of their names."""
        online = set(self._grid.get_node_ids())
        return [member for member in _members(self._approved()) if member.node_id in online]

    def absent(self) -> list[str]:
        """Return the names of the approved hospitals that Flower knows and that are not online."""
        online = set(self._grid.get_node_ids())
        return [member.name for member in _members(self._approved()) if member.node_id not in online]

    def locate(self, member: Member) -> Member | None:
        """Return a hospital at its present node; None once it is not approved any more."""
        try:
            hospital = self._registry.find(member.name)
        except InputError:  # removed, or damaged
            return None
        if hospital.state != "approved":
            return None
        # A new key has no node until the server has registered it, which takes seconds.
        return next(iter(_members([hospital])), member)

    def _approved(self) -> list[Hospital]:
        return [each for each in self._registry.hospitals().values() if each.state == "approved"]


def _members(hospitals: Iterable[Hospital]) -> list[Member]:
    return [Member(each.node_id, name=each.name, images=each.images) for each in hospitals if each.node_id is not None]
