"""`python -m tests.bench.merged_scores RUN...`: the AUC that a coordinator sees of scores as hospitals tell them.

For every fold of a study's federated arm, each hospital's scores leave as its default rules let them; beside the AUC of
their sum stands that of all scores as they are.
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from client.rules.hospital_file import RulesSection
from client.rules.score_release import releasable
from common.evaluation.evaluation_counts import EvaluationCounts
from common.evaluation.metrics import confusion_matrix
from common.evaluation.ranked_pairs import RankedPairs
from common.evaluation.roc import auc
from common.evaluation.score_histogram import ScoreHistogram
from common.plan.training_plan import TrainingPlan

RULES = RulesSection(apps=(), families=())
BINS = TrainingPlan().exchange.score_bins


def measure(run: Path) -> tuple[float, float, int, int]:
    """Return the mean AUC over folds, exact and as told, and how many images were tested and told."""
    with (run / "predictions.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["arm"] == "federated"]
    classes = [key.removeprefix("p_") for key in rows[0] if key.startswith("p_")]
    folds = defaultdict(lambda: defaultdict(list))
    for row in rows:
        folds[row["repeat"], row["fold"]][row["site"]].append(row)
    exact, seen, told = [], [], 0
    for sites in folds.values():
        everyone = _labels_and_scores([row for each in sites.values() for row in each], classes)
        many = (_of_many(each) for each in sites.values())
        counts = [releasable(_counts(*_labels_and_scores(each, classes)), RULES) for each in many if each]
        pooled = EvaluationCounts.pool(each for each in counts if each is not None)
        exact.append(auc(*everyone))
        seen.append(pooled.ranking.auc() if pooled else np.nan)
        told += pooled.images if pooled else 0
    return float(np.mean(exact)), float(np.nanmean(seen)), len(rows), told


def _of_many(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the images of classes of which the split has enough patients; `local_site` scores no others."""
    patients = defaultdict(set)
    for row in rows:
        patients[row["label"]].add(row["patient"])
    return [row for row in rows if len(patients[row["label"]]) >= RULES.suppress_below]


def _labels_and_scores(rows: list[dict[str, str]], classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    labels = np.array([classes.index(row["label"]) for row in rows])
    scores = np.array([[float(row[f"p_{name}"]) for name in classes] for row in rows])
    return labels, scores / scores.sum(axis=1, keepdims=True)


def _counts(labels: np.ndarray, scores: np.ndarray) -> EvaluationCounts:
    confusion = confusion_matrix(labels, scores.argmax(axis=1), scores.shape[1])
    return EvaluationCounts(
        0.0, confusion, ScoreHistogram.from_scores(labels, scores, BINS), RankedPairs.from_scores(labels, scores)
    )


def main() -> None:
    """Print a row for each run folder."""
    table = Table("run", "AUC of all scores", "AUC as told", "images tested", "images told")
    for name in sys.argv[1:]:
        exact, seen, tested, told = measure(Path(name))
        table.add_row(Path(name).name, f"{exact:.4f}", f"{seen:.4f}", str(tested), str(told))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
