"""What a finished study leaves behind, read back and checked: `summary.json` and `predictions.csv`.

The tables and the report are drawn from these two files alone. Keys that they do not need are ignored, so that a study
may say more than they show.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import InputError
from common.metrics import PairedTest, mcnemar_test

ArmName = Literal["centralized", "federated", "local"]
Interval = tuple[float, float]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Metrics(_Record):
    """The output of `common.metrics.arm_metrics`; `correct` is a fraction where it is a mean over models."""

    correct: float
    total: int
    accuracy: float | None = None
    sensitivity: float | None = None
    specificity: float | None = None
    precision: float | None = None
    f1: float | None = None
    auc: float | None = None
    confusion: list[list[int]] | None = None
    ci95: dict[str, Interval | None] = {}


class Progress(_Record):
    """One point of a learning curve; `progress` is the share of the training budget spent, in [0, 1]."""

    progress: float
    train_loss: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    validation_auc: float | None = None


class Arm(Metrics):
    """One way of training: its metrics on the test patients, by site, and how it got there."""

    per_site: dict[str, Metrics] = {}
    history: list[Progress] = []
    selected: dict[str, Any] | None = None
    wall_s: float | None = None
    image_passes: int | None = None
    # Only of the local arm: the sites' models on everyone's test patients, as a mean and one by one.
    on_all_sites: Metrics | None = None
    models: dict[str, Metrics] = {}


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


class Cost(_Record):
    """Time, and bytes over the wire."""

    wall_s: float | None = None
    bytes_up_per_site_per_round: int | None = None
    bytes_down_per_site_per_round: int | None = None
    bytes_model_full: int | None = None
    rounds: int | None = None
    sites: int | None = None


class Summary(_Record):
    """All of `summary.json` that is shown."""

    rarefed: str
    created: str
    name: str
    dataset: Dataset
    plan: dict[str, Any] = {}
    plan_digest: str | None = None
    weights_sha256: str | None = None
    weights_source: str | None = None
    family: str | None = None
    arms: dict[ArmName, Arm] = {}
    cost: Cost = Cost()


@dataclass(frozen=True)
class Predictions:
    """The rows of one arm in `predictions.csv`, in file order.

    Attributes
    ----------
    model : list of str
        Per image, the site whose own model predicted; empty for a shared model.
    site, image : list of str
        Per image, where its patient was, and its name there.
    labels, predicted : ndarray of int64, shape (images,)
    probabilities : ndarray of float64, shape (images, classes)
    """

    model: list[str]
    site: list[str]
    image: list[str]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    def own(self) -> NDArray[np.bool_]:
        """Return which rows are predictions of a site's model on that site's own patients; shape (images,)."""
        return np.array([model == site for model, site in zip(self.model, self.site, strict=True)], dtype=bool)

    def select(self, rows: NDArray[np.bool_]) -> "Predictions":
        """Return some of the rows; `rows` is a mask of shape (images,)."""
        kept = np.flatnonzero(rows).tolist()
        return Predictions(
            [self.model[row] for row in kept],
            [self.site[row] for row in kept],
            [self.image[row] for row in kept],
            self.labels[kept],
            self.predicted[kept],
            self.probabilities[kept],
        )

    def correct_by_image(self) -> dict[tuple[str, str], bool] | None:
        """Return whether each image was classified correctly, or None when an image stands here more than once."""
        right = (self.labels == self.predicted).tolist()
        found = dict(zip(zip(self.site, self.image, strict=True), right, strict=True))
        return found if len(found) == len(right) else None


def read_summary(run: Path) -> Summary:
    """Read a run folder's `summary.json`.

    Raises
    ------
    InputError
        When the file is missing or not a summary; the message names the first key that is wrong.
    """
    path = run / "summary.json"
    try:
        return Summary.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; is this the folder of a finished run?") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"{path}: {where}: {first['msg']}; run the study again to write it anew") from error


def read_predictions(run: Path, classes: list[str]) -> dict[str, Predictions]:
    """Read a run folder's `predictions.csv`, by arm.

    A label may be written as the name of its class or as its index; the name wins.

    Raises
    ------
    InputError
        When the file is missing, or a line is not a prediction; the message names the line.
    """
    path = run / "predictions.csv"
    indices = {str(index): index for index in range(len(classes))} | {name: i for i, name in enumerate(classes)}
    rows: dict[str, list[tuple[str, str, str, int, int, list[float]]]] = {}
    line = 1
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            for row in reader:
                line = reader.line_num
                scores = [float(row[f"p_{name}"]) for name in classes]
                rows.setdefault(row["arm"], []).append(
                    (row["model"], row["site"], row["image"], indices[row["label"]], indices[row["predicted"]], scores)
                )
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; is this the folder of a finished run?") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: line {line} is not a prediction ({error}); run the study again") from error
    return {
        arm: Predictions(
            [row[0] for row in found],
            [row[1] for row in found],
            [row[2] for row in found],
            np.array([row[3] for row in found], dtype=np.int64),
            np.array([row[4] for row in found], dtype=np.int64),
            np.array([row[5] for row in found], dtype=np.float64),
        )
        for arm, found in rows.items()
    }


def compare_paired(predictions: dict[str, Predictions], first: str, second: str) -> PairedTest | None:
    """Test two arms image by image; None unless both predicted the same images, each once."""
    if first not in predictions or second not in predictions:
        return None
    one, other = predictions[first].correct_by_image(), predictions[second].correct_by_image()
    if one is None or other is None or one.keys() != other.keys():
        return None
    return mcnemar_test(list(one.values()), [other[key] for key in one])
