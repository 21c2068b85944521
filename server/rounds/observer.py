"""What a federation reports while it runs."""

from collections.abc import Mapping, Sequence

from common.errors import RunError
from server.rounds.reply_checks import SiteInfo, list_failures
from server.rounds.state import FederationState, RoundReport


class FederationObserver:
    """Takes a federation's reports, in its thread, and ignores them; derive from it and override what matters."""

    def hospitals_introduced(self, taking_part: Sequence[SiteInfo], left_out: Mapping[str, str]) -> None:
        """Take the hospitals that were asked who they are: at the start, and whenever more come online.

        Parameters
        ----------
        taking_part : sequence of SiteInfo
            Those that take part from now on, in the order of their names.
        left_out : mapping of str to str
            Why the others do not, by name.
        """

    def state_reached(self, state: FederationState) -> None:
        """Take the state after a round, before `round_finished`, so that it can be kept."""

    def round_finished(self, report: RoundReport) -> None:
        """Take the report on a round that has just ended."""

    def round_restored(self, report: RoundReport) -> None:
        """Take the report on a round from before an interruption; they come first. Is a `round_finished` by default."""
        self.round_finished(report)

    def waiting(self, line: str | None) -> None:
        """Take a line about whom the federation waits for, and what ends that; None: it waits no more."""

    def trouble(self, line: str) -> None:
        """Take a line about a round that is repeated, or hospitals that are not there or did not evaluate the model."""


class RequireAllHospitals(FederationObserver):
    """Ends the federation as soon as a hospital does not take part, as a simulation must."""

    def hospitals_introduced(self, taking_part: Sequence[SiteInfo], left_out: Mapping[str, str]) -> None:
        """Raise a `RunError` that names those that do not take part."""
        if left_out:
            raise RunError(f"hospitals did not introduce themselves: {list_failures(left_out)}")
