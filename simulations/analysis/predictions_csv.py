"""A study's predictions, image by image: `predictions.csv`, written and read back."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import InputError
from common.system.files import write_text_atomically
from server.runs.reading import HOSPITALS_NAME
from simulations.analysis.predictions import Predictions
from simulations.study.arms import ARMS

_COLUMNS = ("arm", "model", "repeat", "fold", "site", "image", "patient", "label", "predicted")
# Six decimals leave this much doubt about which class is the most probable one.
_ROUNDING = 2e-6


@dataclass(frozen=True)
class PredictionRow:
    """What one model says about one tested image.

    Attributes
    ----------
    arm : str
        Key of the arm.
    model : str
        The hospital whose own model it is; "" for all arms but the local one.
    repeat, fold : int
        Of the cross-validation, from 0.
    site, image, patient : str
        Where the image lies, its name, and whose it is.
    label : int
        Index of the true class.
    probabilities : list of float, shape (classes,)
        Of each class.
    line : int
        Where in the file it was read; 0 for a row that is yet to be written.
    """

    arm: str
    model: str
    repeat: int
    fold: int
    site: str
    image: str
    patient: str
    label: int
    probabilities: list[float]
    line: int = 0


_Image = tuple[str, str]
_Model = tuple[int, str]
_Set = dict[_Image, PredictionRow]


def write_predictions(path: Path, classes: Sequence[str], rows: Iterable[PredictionRow]) -> None:
    """Write a study's predictions; `classes` are the names in the order of their indices."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_COLUMNS, *(f"p_{name}" for name in classes)])
    for row in rows:
        predicted = int(np.argmax(row.probabilities))
        where = [row.arm, row.model, row.repeat, row.fold, row.site, row.image, row.patient]
        shown = [f"{value:.6f}" for value in row.probabilities]
        writer.writerow([*where, classes[row.label], classes[predicted], *shown])
    write_text_atomically(path, text.getvalue())


def read_predictions(run: Path, classes: Sequence[str]) -> dict[str, Predictions]:
    """Read a run folder's `predictions.csv`.

    Parameters
    ----------
    run : Path
        The folder of a finished run.
    classes : sequence of str
        Names of the classes, in the order of their indices.

    Returns
    -------
    dict of str to Predictions
        By arm. `local` holds every hospital's model on its own images, `local-all` every model on all images: its sets
        are the repeats times the models. All arms list the same images in the same order, except that `local` lacks the
        images of hospitals without a model.

    Raises
    ------
    InputError
        When the file is missing, as in the run of a real federation, a line is not a prediction (the message names the
        line), or an arm does not cover every image once.
    """
    path = run / "predictions.csv"
    sets: dict[str, dict[_Model, _Set]] = defaultdict(lambda: defaultdict(dict))
    images: _Set = {}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            for row in _rows(path, stream, classes):
                key = (row.site, row.image)
                known = images.setdefault(key, row)
                found = sets[row.arm][row.repeat, row.model]
                if key in found:
                    raise InputError(f"{path}: line {row.line} predicts the image of line {found[key].line} again")
                if (row.label, row.patient) != (known.label, known.patient):
                    raise InputError(f"{path}: line {row.line} contradicts line {known.line} about {row.image}")
                found[key] = row
    except OSError as error:
        if isinstance(error, FileNotFoundError) and (run / HOSPITALS_NAME).exists():
            raise InputError(
                f"{run}: is the run of a federation, which holds no predictions, since no image left its hospital: "
                "read its summary.json, rounds.jsonl and model/card.md"
            ) from error
        raise InputError(f"{path}: {error.strerror}; is this the folder of a finished run?") from error
    return _by_arm(path, sets, list(images.values()))


def _rows(path: Path, stream: Iterator[str], classes: Sequence[str]) -> Iterator[PredictionRow]:
    """Yield the rows of the file; a label is a class's name, or else its index."""
    indices = {str(index): index for index in range(len(classes))} | {name: i for i, name in enumerate(classes)}
    reader = csv.DictReader(stream)
    try:
        if "repeat" not in (reader.fieldnames or ["repeat"]):
            raise InputError(f"{path}: written by another version of rarefed; run it again")
        for row in reader:
            scores = [float(row[f"p_{name}"]) for name in classes]
            predicted = indices[row["predicted"]]
            if not np.isfinite(scores).all() or scores[predicted] < max(scores) - _ROUNDING:
                raise ValueError(f"{row['predicted']} is not the most probable class")
            # Rounding can tie two classes; then what was predicted decides.
            scores[predicted] = max(scores) + (_ROUNDING if scores.count(max(scores)) > 1 else 0)
            where = (row["arm"], row["model"], int(row["repeat"]), int(row["fold"]), row["site"], row["image"])
            yield PredictionRow(*where, row["patient"], indices[row["label"]], scores, reader.line_num)
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: line {reader.line_num} is not a prediction ({error}); run it again") from error


def _by_arm(path: Path, sets: dict[str, dict[_Model, _Set]], images: Sequence[PredictionRow]) -> dict[str, Predictions]:
    found = {}
    for arm, by_model in sets.items():
        everywhere = ARMS[arm].judged_everywhere_as if arm in ARMS else ""
        found[everywhere or arm] = _stack(path, everywhere or arm, images, by_model)
        if everywhere:
            own: dict[_Model, _Set] = defaultdict(dict)
            for (repeat, _), rows in by_model.items():
                own[repeat, ""] |= {key: row for key, row in rows.items() if row.model == row.site}
            models = {model for _, model in by_model}
            found[arm] = _stack(path, arm, [row for row in images if row.site in models], own)
    return found


def _stack(path: Path, arm: str, images: Sequence[PredictionRow], sets: dict[_Model, _Set]) -> Predictions:
    """Return the predictions of an arm, in the order of `images`, which holds one row for each."""
    keys = [(row.site, row.image) for row in images]
    for (repeat, model), found in sets.items():
        lacking = next((key for key in keys if key not in found), None)
        if lacking is not None:
            whose = f"{arm} (model {model})" if model else arm
            raise InputError(f"{path}: repeat {repeat} of {whose} has no prediction for {lacking[1]}; run it again")
    ordered = [[found[key] for key in keys] for found in sets.values()]
    models = {
        name: number for number, name in enumerate(dict.fromkeys((r.fold, r.model) for one in ordered for r in one))
    }
    return Predictions(
        images=np.array([row.image for row in images], dtype=np.str_),
        sites=np.array([row.site for row in images], dtype=np.str_),
        patients=np.array([row.patient for row in images], dtype=np.str_),
        labels=np.array([row.label for row in images], dtype=np.int64),
        repeats=np.array([repeat for repeat, _ in sets], dtype=np.int64),
        models=np.array([[models[row.fold, row.model] for row in one] for one in ordered], dtype=np.int64),
        probabilities=np.array([[row.probabilities for row in one] for one in ordered], dtype=np.float64),
    )
