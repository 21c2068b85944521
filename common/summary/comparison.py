"""How two ways of training differ on the same images."""

from common.summary.record import Interval, Record


class DifferenceRecord(Record):
    """One metric of the first arm minus that of the second, with a 95 % interval and a two-sided p-value."""

    difference: float
    ci95: Interval | None = None
    p_value: float | None = None

    @property
    def clear(self) -> bool:
        """Whether both the interval and the test (5 %) say that there is a difference."""
        if self.ci95 is None or self.p_value is None:
            return False
        return self.p_value < 0.05 and (self.ci95[0] > 0 or self.ci95[1] < 0)


class McNemarRecord(Record):
    """Images of one repeat that only one of two arms got right."""

    repeat: int
    only_first: int
    only_second: int
    total: int
    p_value: float


class DeLongRecord(Record):
    """Two AUCs of one repeat on the same images."""

    repeat: int
    difference: float | None
    p_value: float | None


class PairedTestRecord(Record):
    """Two arms on the same images; `local-all` is the hospitals' own models on all sites."""

    first: str
    second: str
    accuracy: DifferenceRecord | None = None
    auc: DifferenceRecord | None = None
    mcnemar: list[McNemarRecord] = []
    delong: list[DeLongRecord] = []


class GapClosedRecord(Record):
    """(federated - local-all) / (centralized - local-all): 0 as good as a lonely hospital, 1 as good as pooling.

    `reason` says why the share or its interval is missing.
    """

    value: float | None
    ci95: Interval | None = None
    reason: str | None = None
