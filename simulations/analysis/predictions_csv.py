"""A study's predictions, image by image: `predictions.csv`, read back as one panel an arm."""

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common.errors import InputError
from simulations.analysis.predictions import Predictions

# Six decimals leave this much doubt about which class is the most probable one.
_ROUNDING = 2e-6


@dataclass(frozen=True)
class _Line:
    number: int
    arm: str
    model: str
    repeat: int
    fold: int
    site: str
    image: str
    patient: str
    label: int
    scores: list[float]


_Set = dict[tuple[str, str], _Line]


def read_predictions(run: Path, classes: list[str]) -> dict[str, Predictions]:
    """Read a run folder's `predictions.csv`.

    Parameters
    ----------
    run : Path
        The folder of a finished run.
    classes : list of str
        Names of the classes, in the order of their indices.

    Returns
    -------
    dict of str to Predictions
        By arm. `local` holds every hospital's model on its own images, `local-all` every model on all images: its sets
        are the repeats times the models. All panels list the same images in the same order, except that `local`
        lacks the images of hospitals without a model.

    Raises
    ------
    InputError
        When the file is missing, a line is not a prediction (the message names the line), or an arm does not cover
        every image once.
    """
    path = run / "predictions.csv"
    sets: dict[str, dict[tuple[int, str], _Set]] = defaultdict(lambda: defaultdict(dict))
    images: dict[tuple[str, str], _Line] = {}
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            for line in _lines(path, stream, classes):
                key = (line.site, line.image)
                known = images.setdefault(key, line)
                found = sets[line.arm][line.repeat, line.model]
                if key in found:
                    raise InputError(f"{path}: line {line.number} predicts the image of line {found[key].number} again")
                if (line.label, line.patient) != (known.label, known.patient):
                    raise InputError(f"{path}: line {line.number} contradicts line {known.number} about {line.image}")
                found[key] = line
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; is this the folder of a finished run?") from error
    return _panels(path, sets, images)


def _lines(path: Path, stream: Iterator[str], classes: list[str]) -> Iterator[_Line]:
    """Yield the lines of the file; a label is a class's name, or else its index."""
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
            yield _Line(reader.line_num, *where, row["patient"], indices[row["label"]], scores)
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: line {reader.line_num} is not a prediction ({error}); run it again") from error


def _panels(
    path: Path, sets: dict[str, dict[tuple[int, str], _Set]], images: dict[tuple[str, str], _Line]
) -> dict[str, Predictions]:
    lines = list(images.values())
    panels = {}
    for arm, by_model in sets.items():
        name = "local-all" if arm == "local" else arm
        panels[name] = _panel(path, name, lines, by_model)
        if arm == "local":
            home: dict[tuple[int, str], _Set] = defaultdict(dict)
            for (repeat, _), found in by_model.items():
                home[repeat, ""] |= {key: line for key, line in found.items() if line.model == line.site}
            models = {model for _, model in by_model}
            panels["local"] = _panel(path, "local", [line for line in lines if line.site in models], home)
    return panels


def _panel(path: Path, arm: str, lines: Sequence[_Line], sets: dict[tuple[int, str], _Set]) -> Predictions:
    """Return a panel whose images stand in the order of `lines`."""
    keys = [(line.site, line.image) for line in lines]
    for (repeat, model), found in sets.items():
        lacking = next((key for key in keys if key not in found), None)
        if lacking is not None:
            whose = f"{arm} (model {model})" if model else arm
            raise InputError(f"{path}: repeat {repeat} of {whose} has no prediction for {lacking[1]}; run it again")
    ordered = [[found[key] for key in keys] for found in sets.values()]
    return Predictions(
        images=np.array([line.image for line in lines], dtype=np.str_),
        sites=np.array([line.site for line in lines], dtype=np.str_),
        patients=np.array(_patients(lines), dtype=np.str_),
        labels=np.array([line.label for line in lines], dtype=np.int64),
        repeats=np.array([repeat for repeat, _ in sets], dtype=np.int64),
        folds=np.array([[line.fold for line in one] for one in ordered], dtype=np.int64),
        probabilities=np.array([[line.scores for line in one] for one in ordered], dtype=np.float64),
    )


def _patients(lines: Sequence[_Line]) -> list[str]:
    """Return a name for each line's patient that no patient of another hospital has."""
    homes = defaultdict(set)
    for line in lines:
        homes[line.patient].add(line.site)
    return [f"{line.site}: {line.patient}" if len(homes[line.patient]) > 1 else line.patient for line in lines]
