"""From a finished federation to the files of its run: `summary.json`, in the form that the simulation writes too."""

import time
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from common.models.classifier import Classifier
from common.models.tail_layout import TailLayout, tail_digest
from common.plan.training_plan import TrainingPlan
from server.rounds.reply_checks import SiteInfo
from server.rounds.state import FederationResult
from server.runs.round_records import federated_evaluation, learning_curve, metrics_of_counts, pooled_metrics

_BYTES_PER_VALUE = 4


def summarise(
    name: str,
    plan: TrainingPlan,
    classes: Sequence[str],
    infos: Sequence[SiteInfo],
    model: Classifier,
    result: FederationResult,
    wall_seconds: float,
) -> dict[str, Any]:
    """Return the content of `summary.json`.

    It has the keys of the simulation's, so that the same tools read it. What only someone who sees all images could
    know is empty: other arms, tests between them, patients, images of each class.

    Parameters
    ----------
    name : str
        Of the consortium or the plan.
    plan : TrainingPlan
        What was done.
    classes : sequence of str
        In label order.
    infos : sequence of SiteInfo
        The hospitals that took part.
    model : Classifier
        The network; whatever tail it holds.
    result : FederationResult
        What came of it.
    wall_seconds : float
        From the first message to the last.
    """
    layout, personal = TailLayout.of(model.tail, plan), TailLayout.personal(model.tail, plan)
    tested = pooled_metrics(result.test.values())
    exchanged = layout.size * _BYTES_PER_VALUE
    passes = plan.federation.local_epochs * sum(
        site.images for report in result.rounds for site in report.sites.values()
    )
    arm = {
        **(tested or {}),
        "per_site": {site: metrics_of_counts(score) for site, score in result.test.items() if score.images},
        "history": learning_curve(result, plan.federation.rounds),
        "selected": {"progress": result.selected_round / plan.federation.rounds},
        "wall_s": round(wall_seconds, 2),
        "image_passes": passes,
        "parameters": {"trained": layout.size + personal.size, "total": model.parameter_count},
        "weights_digest": {"global": tail_digest(result.tail)},
    }
    return {
        "rarefed": version("rarefed"),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "name": name,
        "dataset": _describe(name, classes, infos),
        "plan": plan.model_dump(),
        "plan_digest": plan.digest,
        "family": plan.model.family,
        "weights_source": model.weights.source if model.weights else "none",
        "weights_sha256": model.weights.sha256 if model.weights else None,
        "study": {
            "folds": 1,
            "repeats": 1,
            "tested": tested["total"] if tested else 0,
            "seeds": [plan.training.seed],
            "partition": "hospitals",
            "strategy": plan.federation.strategy,
        },
        "arms": {"federated": arm},
        "tests": {},
        "gap_closed": None,
        "federated_evaluation": federated_evaluation(result),
        "cost": {
            "wall_s": round(wall_seconds, 2),
            "bytes_up_per_site_per_round": exchanged,
            "bytes_down_per_site_per_round": exchanged,
            "bytes_model_full": model.value_count * _BYTES_PER_VALUE,
            "rounds": plan.federation.rounds,
            "sites": len(infos),
        },
        "variants": [],
        "missing": [],
    }


def _describe(name: str, classes: Sequence[str], infos: Sequence[SiteInfo]) -> dict[str, Any]:
    sites: list[dict[str, Any]] = [
        {
            "name": info.name,
            "images": info.train_images + (info.validation_images or 0) + (info.test_images or 0),
            "patients": None,
            "per_class": {},
            "train": info.train_images,
            "validation": info.validation_images,
            "test": info.test_images,
        }
        for info in infos
    ]
    return {
        "name": name,
        "synthetic": False,
        "images": sum(info.train_images + (info.validation_images or 0) + (info.test_images or 0) for info in infos),
        "classes": list(classes),
        "patients": None,
        "patient_source": "known to the hospitals only",
        "partition": "hospitals",
        "excluded": [],
        "sites": sites,
    }
