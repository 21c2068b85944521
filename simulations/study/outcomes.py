"""The outcome of each training, on disk as soon as it is known, so that an interrupted study can be resumed."""

import csv
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from common.summary.arm import CurvePointRecord
from common.summary.record import Record
from common.summary.summary import FederatedEvaluationRecord
from common.system.files import write_json_atomically
from simulations.study.arms import FEDERATED
from simulations.study.fault_descriptions import name_faults
from simulations.study.trainings import Unit

_DECIMALS = 6
_RESULT_COLUMNS = (
    *("family", "weights", "strategy", "faults", "partition", "sites", "repeat", "fold", "arm", "site"),
    *("correct", "total", "image_passes", "seconds", "weights_digest"),
)


class Outcome(Record):
    """One finished training.

    Attributes
    ----------
    probabilities : list of list of float, shape (test images, classes)
        Of the fold's test images in the order of `SimulatedConsortium.pooled("test")`.
    learning_curve : list of CurvePointRecord
        May be empty.
    selected : float
        When the model was taken, as a share of the budget; of an average, the last tail in it.
    averaged_from : float or None
        Of an average, when the first tail in it was taken.
    wall_s : float
        Seconds of training and scoring.
    samples_seen : int
        How many training images were shown to the network, all sites together; each counts once per epoch.
    trained_parameters, total_parameters : int
        Of the network; the trained ones are what a federation exchanges.
    weights_digest : str
        SHA-256 of the tail; of the probe's coefficients.
    federated_evaluation : FederatedEvaluationRecord or None
        What the hospitals' own counts say; of the federated arm only.
    """

    probabilities: list[list[float]]
    learning_curve: list[CurvePointRecord] = Field([], alias="history")
    selected: float
    averaged_from: float | None = None
    wall_s: float
    samples_seen: int = Field(alias="image_passes")
    trained_parameters: int
    total_parameters: int
    weights_digest: str
    federated_evaluation: FederatedEvaluationRecord | None = None


def rounded(probabilities: NDArray[np.float64]) -> list[list[float]]:
    """Return probabilities with as many decimals as all files have, so that all say the same."""
    values: list[list[float]] = np.round(probabilities, _DECIMALS).tolist()
    return values


class OutcomeStore:
    """The outcomes of a study in its run folder: one file per unit under `units/`, one line each in `results.csv`.

    Parameters
    ----------
    folder : Path
        The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self._units = folder / "units"
        self._results = folder / "results.csv"
        self._units.mkdir(exist_ok=True)
        self._lock = threading.Lock()
        self._found: dict[str, Outcome] = {}
        self._damaged: list[Path] = []

    def restore(self, units: list[Unit]) -> int:
        """Read what an interrupted study left for these units; write `results.csv` anew; return how many were found."""
        for unit in units:
            path = self._file(unit)
            if not path.exists():
                continue
            try:
                outcome = Outcome.model_validate_json(path.read_bytes())
            except (OSError, ValidationError):
                self._damaged.append(path)
                continue
            if len(outcome.probabilities) == len(unit.consortium.pooled("test")):
                self._found[unit.key] = outcome
            else:
                self._damaged.append(path)
        with self._results.open("w", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(_RESULT_COLUMNS)
            writer.writerows(_row(unit, self._found[unit.key]) for unit in units if unit.key in self._found)
        return len(self._found)

    @property
    def damaged(self) -> list[Path]:
        """The files of outcomes that `restore` could not use: those are trained again, and overwritten."""
        return list(self._damaged)

    def unused(self, units: list[Unit]) -> int:
        """Return how many outcomes are there that are of none of these units, as after an upgrade."""
        keys = {unit.key for unit in units}
        return sum(path.stem not in keys for path in self._units.glob("*.json"))

    def add(self, unit: Unit, outcome: Outcome) -> None:
        """Keep an outcome; once this returns, it is on disk."""
        with self._lock:
            write_json_atomically(self._file(unit), outcome.to_json())
            self._found[unit.key] = outcome
            with self._results.open("a", newline="") as stream:
                csv.writer(stream, lineterminator="\n").writerow(_row(unit, outcome))

    def _file(self, unit: Unit) -> Path:
        return self._units / f"{unit.key}.json"

    def __contains__(self, unit: Unit) -> bool:
        return unit.key in self._found

    def __getitem__(self, unit: Unit) -> Outcome:
        return self._found[unit.key]


def correct_of(unit: Unit, outcome: Outcome) -> int:
    """Return how many of the unit's test images were classified correctly."""
    labels = [record.label for record in unit.consortium.pooled("test")]
    predicted = [int(np.argmax(row)) for row in outcome.probabilities]
    return sum(label == guess for label, guess in zip(labels, predicted, strict=True))


def _row(unit: Unit, outcome: Outcome) -> list[Any]:
    plan = unit.plan
    # Left empty: what does not influence the training, since one training may serve several variants.
    strategy, failing = "", ""
    if unit.arm == FEDERATED:
        strategy = plan.federation.strategy
        failing = name_faults(plan.study.dropout, plan.study.hostile_sites, plan.study.hostile)
    return [
        *(plan.model.family, plan.model.weights, strategy, failing),
        *(unit.consortium.partition, len(unit.consortium.sites)),
        *(unit.repeat, unit.fold, unit.arm, unit.site),
        *(correct_of(unit, outcome), len(outcome.probabilities)),
        *(outcome.samples_seen, round(outcome.wall_s, 2), outcome.weights_digest),
    ]
