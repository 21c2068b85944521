"""What a finished study says of itself: `summary.json`, read back and checked.

Tables and report are drawn from this file and `predictions.csv` alone. Keys that they do not need are ignored, so that
a study may say more than they show.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import InputError
from simulations.analysis.arm_schema import Arm, GapClosed, PairedTest, Training


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Site(_Record):
    """One hospital of the study: counts of images."""

    name: str
    images: int
    patients: int | None = None
    per_class: dict[str, int] = {}
    train: int | None = None
    validation: int | None = None
    test: int | None = None


class Excluded(_Record):
    """An image that took no part, and why."""

    name: str
    reason: str


class Dataset(_Record):
    """The images of the study."""

    name: str
    synthetic: bool
    images: int
    classes: list[str] = Field(min_length=2)
    patients: int | None = None
    patient_source: str | None = None
    partition: str | None = None
    excluded: list[Excluded] = []
    sites: list[Site] = []


class Design(_Record):
    """How often which images were tested; a single split has one fold and one repeat."""

    folds: int
    repeats: int
    tested: int
    seeds: list[int] = []
    partition: str | None = None
    strategy: str | None = None


class Cost(_Record):
    """Time, and bytes over the wire."""

    wall_s: float | None = None
    bytes_up_per_site_per_round: int | None = None
    bytes_down_per_site_per_round: int | None = None
    bytes_model_full: int | None = None
    rounds: int | None = None
    sites: int | None = None

    @property
    def bytes_exchanged(self) -> int | None:
        """What all rounds of one federation send both ways, over all sites; None if it is not known."""
        up, down = self.bytes_up_per_site_per_round, self.bytes_down_per_site_per_round
        if up is None or down is None or self.rounds is None or self.sites is None:
            return None
        return self.rounds * self.sites * (up + down)


class Replies(_Record):
    """Replies to all rounds of a variant's federations: how many were expected, how many of them not used."""

    expected: int
    left_out: int


class Variant(_Record):
    """The same study with another family, strategy, partition, number of sites or other faults."""

    family: str
    strategy: str
    partition: str
    sites: int
    faults: str = "none"
    folder: str = ""
    arms: dict[str, Training] = {}
    tests: dict[str, PairedTest] = {}
    # Federated against the same without faults, and against the first variant's without faults; only where some fail.
    against: dict[str, PairedTest] = {}
    replies: Replies | None = None
    gap_closed: dict[str, GapClosed] | None = None
    cost: Cost = Cost()


class Missing(_Record):
    """A family that was asked for and did not run."""

    family: str
    reason: str


class Summary(_Record):
    """All of `summary.json` that is shown."""

    rarefed: str
    created: str
    name: str
    dataset: Dataset
    study: Design
    plan: dict[str, Any] = {}
    plan_digest: str | None = None
    weights_sha256: str | None = None
    weights_source: str | None = None
    family: str | None = None
    arms: dict[str, Arm] = {}
    tests: dict[str, PairedTest] = {}
    gap_closed: dict[str, GapClosed] | None = None
    cost: Cost = Cost()
    variants: list[Variant] = []
    missing: list[Missing] = []


def read_summary(run: Path) -> Summary:
    """Read a run folder's `summary.json`.

    Raises
    ------
    InputError
        When the file is missing, not a summary (the message names the first key that is wrong), or of a rarefed that
        wrote another form.
    """
    path = run / "summary.json"
    try:
        content = json.loads(path.read_bytes())
        if isinstance(content, dict) and "arms" in content and "study" not in content:
            raise InputError(f"{path}: written by another version of rarefed; run it again")
        return Summary.model_validate(content)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; is this the folder of a finished run?") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"{path}: {where}: {first['msg']}; broken, or of another version: run it again") from error
    except ValueError as error:
        raise InputError(f"{path}: the file is no JSON ({error}); run it again") from error
