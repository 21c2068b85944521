"""All of `summary.json`: the data, the design, the arms, how they differ, and what they cost."""

from typing import Any, Self

from pydantic import Field

from common.summary.arm import ArmRecord
from common.summary.comparison import GapClosedRecord, PairedTestRecord
from common.summary.record import Record

_BYTES_PER_WEIGHT = 4


class SiteRecord(Record):
    """One hospital of the study: counts of images."""

    name: str
    images: int
    patients: int | None = None
    per_class: dict[str, int] = {}
    train: int | None = None
    validation: int | None = None
    test: int | None = None


class ExcludedRecord(Record):
    """An image that took no part, and why."""

    name: str
    reason: str


class DatasetRecord(Record):
    """The images of the study.

    `class_guess` is there where nothing but a guess says which of two classes is the disease; `notes` tell what else
    was decided in reading the images, and which files were not used. `digest` is that of all images, labels, patients
    and sites of a simulation.
    """

    name: str
    synthetic: bool
    images: int
    classes: list[str] = Field(min_length=2)
    patients: int | None = None
    patient_source: str | None = None
    partition: str | None = None
    class_guess: str | None = None
    notes: list[str] = []
    excluded: list[ExcludedRecord] = []
    sites: list[SiteRecord] = []
    digest: str | None = None


class DesignRecord(Record):
    """How often which images were tested; a single split has one fold and one repeat."""

    folds: int
    repeats: int
    tested: int
    seeds: list[int] = []
    partition: str | None = None
    strategy: str | None = None


class CostRecord(Record):
    """Time, and bytes over the wire."""

    wall_s: float | None = None
    bytes_up_per_site_per_round: int | None = None
    bytes_down_per_site_per_round: int | None = None
    bytes_model_full: int | None = None
    rounds: int | None = None
    sites: int | None = None

    @classmethod
    def of_federation(
        cls, *, wall_seconds: float, exchanged_weights: int, all_weights: int, rounds: int, sites: int
    ) -> Self:
        """Return what a federation costs whose messages carry float32 weights and nothing else worth counting."""
        exchanged = exchanged_weights * _BYTES_PER_WEIGHT
        return cls(
            wall_s=round(wall_seconds, 2),
            bytes_up_per_site_per_round=exchanged,
            bytes_down_per_site_per_round=exchanged,
            bytes_model_full=all_weights * _BYTES_PER_WEIGHT,
            rounds=rounds,
            sites=sites,
        )

    @property
    def bytes_exchanged(self) -> int | None:
        """What all rounds of one federation send both ways, over all sites; None if it is not known."""
        up, down = self.bytes_up_per_site_per_round, self.bytes_down_per_site_per_round
        if up is None or down is None or self.rounds is None or self.sites is None:
            return None
        return self.rounds * self.sites * (up + down)


class LeftOutRecord(Record):
    """A site whose reply to a round was not used, and why."""

    round: int
    site: str
    reason: str


class FederatedEvaluationRecord(Record):
    """What the server knows of the test patients without having seen one.

    `auc` ranks the pairs of images within a hospital: two hospitals' scores never meet. `roc` is of all hospitals'
    bins, which real hospitals merge, and may enclose more or less than `auc`; it holds pairs of false and true positive
    rate, and is None where a class is missing.
    """

    selected_round: int
    images: int
    confusion: list[list[int]]
    auc: float | None
    roc: list[tuple[float, float]] | None
    loss: float | None
    left_out: list[LeftOutRecord]


class RepliesRecord(Record):
    """Replies to all rounds of a variant's federations: how many were expected, how many of them not used."""

    expected: int
    left_out: int


class VariantRecord(Record):
    """The same study with another family, strategy, partition, number of sites, other faults or another recipe.

    `recipe` is "" for the plan's own; `against_plan` compares each arm with that of the same variant by the plan's own.
    `against` compares the federated arm with that of the same variant without faults ("same"), and of the first variant
    without faults ("first"); it and `replies` are there only where some hospitals fail. `size` is the side in pixels of
    the images that the networks saw; None in files of before it was written.
    """

    family: str
    strategy: str
    partition: str
    sites: int
    faults: str = "none"
    recipe: str = ""
    size: int | None = None
    folder: str = ""
    arms: dict[str, ArmRecord] = {}
    weights_source: str | None = None
    tests: dict[str, PairedTestRecord] = {}
    gap_closed: dict[str, GapClosedRecord] | None = None
    cost: CostRecord = CostRecord()
    against: dict[str, PairedTestRecord] = {}
    against_plan: dict[str, PairedTestRecord] = {}
    replies: RepliesRecord | None = None


class MissingRecord(Record):
    """A family that was asked for and did not run."""

    family: str
    reason: str


class Summary(Record):
    """All of `summary.json`: the machine-readable truth of a run.

    `environment` names device, number format, processor and libraries of a simulation's trainings.
    """

    rarefed: str
    created: str
    name: str
    dataset: DatasetRecord
    plan: dict[str, Any] = {}
    plan_digest: str | None = None
    family: str | None = None
    weights_source: str | None = None
    weights_sha256: str | None = None
    environment: dict[str, str] = {}
    study: DesignRecord
    arms: dict[str, ArmRecord] = {}
    tests: dict[str, PairedTestRecord] = {}
    gap_closed: dict[str, GapClosedRecord] | None = None
    federated_evaluation: FederatedEvaluationRecord | None = None
    cost: CostRecord = CostRecord()
    variants: list[VariantRecord] = []
    missing: list[MissingRecord] = []
