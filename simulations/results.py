"""From trained arms to the files of a run: `summary.json` and `predictions.csv`, out of which the report is drawn."""

import csv
import io
import time
from importlib.metadata import version
from typing import Any

import numpy as np

from common.exchange import TailLayout, digest_of
from common.metrics import arm_metrics
from common.models import Classifier
from common.plan import TrainingPlan
from common.roc import RocCurve
from common.scoring import Score
from server.federation import FederationResult
from simulations.arms import Arm, Moment
from simulations.hospitals import Hospitals

_BYTES_PER_VALUE = 4
_MEANS = ("correct", "accuracy", "sensitivity", "specificity", "precision", "f1", "auc")


def summarise(
    plan: TrainingPlan,
    hospitals: Hospitals,
    model: Classifier,
    layout: TailLayout,
    arms: dict[str, Arm],
    federation: FederationResult | None,
    wall_s: float,
) -> dict[str, Any]:
    """Return the content of `summary.json`: the machine-readable truth of a run.

    Parameters
    ----------
    plan, hospitals, model, layout
        What was run.
    arms : dict of str to Arm
        By name.
    federation : FederationResult or None
        None if the federated arm was left out.
    wall_s : float
        Seconds of the whole run.
    """
    dataset = hospitals.dataset
    return {
        "rarefed": version("rarefed"),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "name": plan.study.name or dataset.name,
        "dataset": _describe(hospitals),
        "plan": plan.model_dump(),
        "plan_digest": plan.digest,
        "family": plan.model.family,
        "weights_source": model.weights.source if model.weights else "none",
        "weights_sha256": model.weights.sha256 if model.weights else None,
        "arms": {name: _arm(arm, hospitals) for name, arm in arms.items()},
        "federated_evaluation": _federated_evaluation(federation) if federation else None,
        "cost": {
            "wall_s": round(wall_s, 2),
            "bytes_up_per_site_per_round": layout.size * _BYTES_PER_VALUE,
            "bytes_down_per_site_per_round": layout.size * _BYTES_PER_VALUE,
            # As it would be sent; in memory the trunk may have a shorter format.
            "bytes_model_full": sum(tensor.numel() for tensor in model.state_dict().values()) * _BYTES_PER_VALUE,
            "rounds": plan.federation.rounds,
            "sites": len(hospitals.sites),
        },
    }


def predictions_csv(hospitals: Hospitals, arms: dict[str, Arm]) -> str:
    """Return one line for each test image and model: what it is and what the model says."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    classes = hospitals.dataset.classes
    writer.writerow(
        ["arm", "model", "site", "image", "patient", "label", "predicted", *(f"p_{name}" for name in classes)]
    )
    records, sites = hospitals.pooled("test"), hospitals.site_of_each("test")
    for arm in arms.values():
        for model, trained in arm.models.items():
            for record, site, row in zip(records, sites, trained.probabilities, strict=True):
                predicted = classes[int(row.argmax())]
                scores = [f"{value:.6f}" for value in row]
                writer.writerow(
                    [arm.name, model, site, record.name, record.patient, classes[record.label], predicted, *scores]
                )
    return text.getvalue()


def moment_entry(moment: Moment) -> dict[str, float | None]:
    """Return a point of a learning curve as JSON values."""
    return {"progress": round(moment.progress, 6), "train_loss": moment.train_loss, **_validation(moment.validation)}


def _describe(hospitals: Hospitals) -> dict[str, Any]:
    dataset = hospitals.dataset
    sites = []
    for site in hospitals.sites:
        records = [*site.split.train, *site.split.validation, *site.split.test]
        counts = np.bincount([record.label for record in records], minlength=len(dataset.classes))
        sites.append(
            {
                "name": site.name,
                "images": len(records),
                "patients": len({record.patient for record in records}),
                "per_class": {name: int(count) for name, count in zip(dataset.classes, counts, strict=True)},
                "train": len(site.split.train),
                "validation": len(site.split.validation),
                "test": len(site.split.test),
            }
        )
    return {
        "name": dataset.name,
        "synthetic": hospitals.synthetic,
        "images": len(dataset.records),
        "classes": list(dataset.classes),
        "patients": len({record.patient for record in dataset.records}),
        "patient_source": dataset.patient_source,
        "partition": hospitals.partition,
        "excluded": [{"name": image.name, "reason": image.reason} for image in dataset.excluded],
        "sites": sites,
    }


def _arm(arm: Arm, hospitals: Hospitals) -> dict[str, Any]:
    labels = np.array([record.label for record in hospitals.pooled("test")])
    sites = np.array(hospitals.site_of_each("test"))
    if "" in arm.models:
        probabilities = arm.models[""].probabilities
    else:
        # At home: every patient is judged by the model of his own hospital.
        probabilities = np.stack([arm.models[site].probabilities[i] for i, site in enumerate(sites)])
    entry = arm_metrics(labels, probabilities)
    tested = [site.name for site in hospitals.sites if site.split.test]
    entry["per_site"] = {site: arm_metrics(labels[sites == site], probabilities[sites == site]) for site in tested}
    entry["history"] = [moment_entry(moment) for moment in arm.history]
    entry["wall_s"] = round(arm.wall_s, 2)
    entry["image_passes"] = arm.image_passes
    entry["selected"] = {"progress": float(np.mean([trained.selected for trained in arm.models.values()]))}
    entry["weights_digest"] = {name or "global": digest_of(trained.tail) for name, trained in arm.models.items()}
    if "" not in arm.models:
        entry["models"] = {name: arm_metrics(labels, trained.probabilities) for name, trained in arm.models.items()}
        entry["on_all_sites"] = _mean(list(entry["models"].values()))
    return entry


def _mean(entries: list[dict[str, Any]]) -> dict[str, Any]:
    mean: dict[str, Any] = {"total": entries[0]["total"]}
    for key in _MEANS:
        values = [entry[key] for entry in entries if entry[key] is not None]
        mean[key] = float(np.mean(values)) if values else None
    return mean


def _validation(score: Score | None) -> dict[str, float | None]:
    scored = score if score is not None and score.images else None
    return {
        "validation_loss": scored.loss if scored else None,
        "validation_accuracy": scored.accuracy if scored else None,
        "validation_auc": scored.histogram.auc() if scored else None,
    }


def _federated_evaluation(result: FederationResult) -> dict[str, Any]:
    """What the server knows of the test patients without having seen one: the hospitals' counts and histograms."""
    pooled = Score.pool(result.test.values())
    assert pooled is not None
    return {
        "selected_round": result.selected_round,
        "images": pooled.images,
        "confusion": pooled.confusion.tolist(),
        "auc": pooled.histogram.auc(),
        "roc": _points(pooled.histogram.roc()),
        "loss": pooled.loss,
        "left_out": [
            {"round": report.round, "site": site, "reason": reason}
            for report in result.rounds
            for site, reason in report.failures.items()
        ],
    }


def _points(curve: RocCurve | None) -> list[list[float]] | None:
    """Return a ROC curve as pairs of false and true positive rate."""
    if curve is None:
        return None
    points: list[list[float]] = np.column_stack([curve.false_positive_rate, curve.true_positive_rate]).tolist()
    return points
