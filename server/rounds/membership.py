"""Which hospitals take part in a federation: who has introduced itself, who is present, and whom to ask in a round."""

import time
from collections.abc import Callable, Container, Mapping, Sequence
from typing import NamedTuple

from flwr.app import MessageType

from common.errors import RunError
from common.plan.groups import FederationPlan
from common.protocol.refusals import refusing_rule
from server.rounds.courier import Member, Request
from server.rounds.messaging import SHUT_OUT, Messenger
from server.rounds.observer import FederationObserver
from server.rounds.quarantine import OFFLINE, QuarantineStatus
from server.rounds.reply_checks import BadReply, SiteInfo, check_introduction, list_failures, read_info


class _Admitted(NamedTuple):
    """A hospital that takes part: what it said of itself, and its address."""

    info: SiteInfo
    member: Member


class Membership:
    """The hospitals that take part in a federation, from their introduction on.

    Parameters
    ----------
    messenger : Messenger
        Asks hospitals who they are.
    federation : FederationPlan
        How many hospitals are needed, and how long to wait for them.
    trunk_digest : str
        The trunk that every hospital must have.
    present : callable
        Returns the hospitals that can be reached at this moment.
    observer : FederationObserver
        Is told who was introduced.
    locate : callable
        Returns a member as it can be reached now; None once it was shut out.
    introduction_seconds : float
        How long the first round waits for those who have not introduced themselves, once there are enough others.
    """

    def __init__(
        self,
        messenger: Messenger,
        federation: FederationPlan,
        trunk_digest: str,
        present: Callable[[], Sequence[Member]],
        observer: FederationObserver,
        locate: Callable[[Member], Member | None],
        introduction_seconds: float,
    ) -> None:
        self._messenger = messenger
        self._federation = federation
        self._trunk_digest = trunk_digest
        self._present = present
        self._observer = observer
        self._locate = locate
        self._introduction_seconds = introduction_seconds
        self._asking: dict[str, Member] = {}
        self._admitted: dict[str, _Admitted] = {}
        self._introduced_in: dict[str, int] = {}

    def info(self, name: str) -> SiteInfo:
        """Return what a hospital that takes part said of itself."""
        return self._admitted[name].info

    def introduce_first(self, number: int) -> None:
        """Introduce hospitals before round `number` until enough take part.

        Raises
        ------
        RunError
            If too few take part after `federation.round_attempts`, or if a rule refuses the plan in all others, which
            would not change.
        """
        left_out: dict[str, str] = {}  # also those that have gone offline meanwhile
        for attempt in range(1, self._federation.round_attempts + 1):
            introduced = {member.called for _, member in self._admitted.values()}
            known = introduced | self._asking.keys()
            self._begin([member for member in self._present() if member.called not in known], number)
            left_out = {called: why for called, why in left_out.items() if called not in introduced}
            left_out |= self._hear_first()
            if len(self._admitted) >= self._federation.min_sites:
                return
            reasons = f" ({list_failures(left_out)})" if left_out else ""
            told = (
                f"{len(self._admitted)} of {len(self._admitted) + len(left_out)} hospitals take part, "
                f"federation.min_sites is {self._federation.min_sites}{reasons}"
            )
            refused_for_good = all(refusing_rule(reason) for reason in left_out.values())
            if attempt == self._federation.round_attempts or refused_for_good:
                raise RunError(told)
            self._messenger.wait_to_ask_again(told)

    def gather(
        self, quarantine: Mapping[str, QuarantineStatus], number: int, answered: Container[str]
    ) -> tuple[dict[str, Member], dict[str, str]]:
        """Wait until enough hospitals are present, or `federation.wait_seconds` are over.

        Parameters
        ----------
        quarantine : mapping of str to QuarantineStatus
            Status of the hospitals before the round.
        number : int
            Number of the round, from 1.
        answered : container of str
            Hospitals that need not be asked any more.

        Returns
        -------
        members, missing : dict
            By name: whom to ask, and why others cannot be asked.
        """
        deadline = time.monotonic() + self._federation.wait_seconds
        told = None
        while True:
            present = {member.called for member in self._welcome(quarantine, number)}
            missing = {
                name: why for name, why in self._missing(present, quarantine, number).items() if name not in answered
            }
            if len(self._admitted) - len(missing) >= self._federation.min_sites or time.monotonic() > deadline:
                unasked = [name for name in self._admitted if name not in missing and name not in answered]
                if told is not None:
                    self._observer.waiting(None)
                return {name: self._admitted[name].member for name in unasked}, missing
            if missing != told:
                told = missing
                self._observer.waiting(
                    f"waiting for {self._federation.min_sites} hospitals (federation.min_sites) to be there, "
                    f"{deadline - time.monotonic():.0f} s at most (federation.wait_seconds): "
                    f"{list_failures(missing) or f'{len(self._admitted)} take part'}"
                )
            self._messenger.sleep()

    def _missing(
        self, present: Container[str], quarantine: Mapping[str, QuarantineStatus], number: int
    ) -> dict[str, str]:
        offline = {name: OFFLINE for name, (_, member) in self._admitted.items() if member.called not in present}
        resting = {
            name: f"in quarantine until round {quarantine[name].back_in}"
            for name in self._admitted.keys() - offline.keys()
            if name in quarantine and quarantine[name].back_in > number
        }
        if len(self._admitted) - len(offline) - len(resting) < self._federation.min_sites:
            resting = {}  # a hospital that failed before is better than a run that cannot go on
        return offline | resting

    def _welcome(self, quarantine: Mapping[str, QuarantineStatus], number: int) -> Sequence[Member]:
        """Ask who is new, and who comes out of quarantine and may have changed, who they are; return who is present.

        Nobody waits for their answers: whoever gives one takes part from then on.
        """
        present = self._present()
        moved = self._follow(present)
        names = {member.called: name for name, (_, member) in self._admitted.items()}
        strangers = []
        for member in present:
            asked_in = self._introduced_in.get(member.called)
            if member.called in names:
                back_in = quarantine.get(names[member.called], QuarantineStatus()).back_in
                # A round before it is asked again, so that the answer is there by then.
                due = back_in - 1 <= number <= back_in and (asked_in is None or asked_in < back_in - 1)
            else:
                due = asked_in is None or number >= asked_in + self._federation.quarantine_rounds
            if (due or member.called in moved) and member.called not in self._asking:
                strangers.append(member)
        self._begin(strangers, number)
        self._tell(*self._hear())
        return present

    def _follow(self, present: Sequence[Member]) -> set[str]:
        """Forget who was shut out, and take note of new addresses; return who has one."""
        moved = set()
        for name, (info, member) in list(self._admitted.items()):
            if self._locate(member) is None:
                del self._admitted[name]
                self._introduced_in.pop(member.called, None)
                self._observer.trouble(f"{name} {SHUT_OUT}")
            for here in present:
                if here.called == member.called and here.node_id != member.node_id and name in self._admitted:
                    moved.add(here.called)
                    self._admitted[name] = _Admitted(info, here)
        return moved

    def _begin(self, members: Sequence[Member], number: int) -> None:
        """Ask members who they are."""
        by_name = {member.called: member for member in members}
        if by_name:
            self._messenger.ask_beside(by_name, Request(MessageType.QUERY))
        self._asking |= by_name
        self._introduced_in |= dict.fromkeys(by_name, number)

    def _hear_first(self) -> dict[str, str]:
        """Wait until all have said who they are, or enough have and time is up; return why others cannot take part."""
        admitted: list[SiteInfo] = []
        left_out: dict[str, str] = {}
        deadline = time.monotonic() + self._introduction_seconds
        if self._asking:
            self._observer.waiting(
                f"waiting for {', '.join(self._asking)} to say who they are: {self._introduction_seconds:.0f} s at "
                f"most (federation.wait_seconds) once {self._federation.min_sites} have (federation.min_sites), "
                f"{self._federation.round_seconds:.0f} s (federation.round_seconds) before"
            )
        while self._asking:
            new, failed = self._hear()
            admitted += new
            left_out |= failed
            if len(self._admitted) >= self._federation.min_sites and time.monotonic() > deadline:
                break
            if self._asking:
                self._messenger.sleep()
        self._observer.waiting(None)
        self._tell(admitted, left_out)
        return left_out

    def _hear(self) -> tuple[list[SiteInfo], dict[str, str]]:
        """Admit those who have said who they are; return them, and why others cannot take part, by name."""
        infos, left_out = self._messenger.answered_beside(lambda called, reply: read_info(reply))
        members = {called: self._asking.pop(called) for called in [*infos, *left_out] if called in self._asking}
        admitted = []
        for called, info in infos.items():
            try:
                if called in members:
                    self._admit(info, members[called])
                    admitted.append(info)
            except BadReply as error:
                left_out[called] = str(error)
                self._admitted = {name: one for name, one in self._admitted.items() if one.member.called != called}
        self._admitted = dict(sorted(self._admitted.items()))
        return admitted, left_out

    def _tell(self, admitted: Sequence[SiteInfo], left_out: Mapping[str, str]) -> None:
        if admitted or left_out:
            self._observer.hospitals_introduced(sorted(admitted, key=lambda info: info.name), left_out)

    def _admit(self, info: SiteInfo, member: Member) -> None:
        check_introduction(info, member.name, member.images, self._trunk_digest)
        namesake = self._admitted.get(info.name)
        if namesake is not None and namesake.member.called != member.called:
            raise BadReply(f"another hospital goes by the name {info.name} already")
        self._admitted[info.name] = _Admitted(info, member)
