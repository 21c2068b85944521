"""From trained units to the files of a run: `summary.json` and `predictions.csv`, out of which the report is drawn."""

import time
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from common.models.classifier import build_model
from common.models.pretrained_weights import find_weights
from common.models.tail_layout import TailLayout
from common.plan.families import FAMILIES
from common.plan.training_plan import TrainingPlan
from common.statistics.bootstrap import Bootstrap
from common.system.files import write_json_atomically, write_text_atomically
from server.runs.run_folder import RunFolder
from simulations.analysis.evaluation import compare, evaluate, gap_closed, metrics_of
from simulations.analysis.out_of_fold import Trained, predictions_csv, predictions_of
from simulations.analysis.robustness import against_undisturbed, is_disturbed
from simulations.sites.consortium import SimulatedConsortium
from simulations.study.fault_descriptions import name_faults
from simulations.study.runner import Study
from simulations.study.variants import Variant

_BYTES_PER_VALUE = 4
# First against second; "local-all" are the hospitals' own models on all hospitals' patients.
_TESTS = (
    *(("federated", other) for other in ("centralized", "local", "local-all", "probe", "scratch")),
    *(("centralized", other) for other in ("local-all", "probe")),
)
# What a table over variants does not show.
_BULKY = frozenset({"per_repeat", "per_site", "reliability", "history", "models"})
_CURVE = ("train_loss", "validation_loss", "validation_accuracy", "validation_auc")


def write_results(study: Study, folder: RunFolder) -> dict[str, Any]:
    """Write the summary and predictions of a trained study, and of each variant of a sweep; return the summary."""
    summaries = []
    for variant in study.variants:
        trained = study.outcomes(variant)
        summary = summarise(variant, trained)
        summaries.append(summary)
        place = folder.path if variant is study.variants[0] else folder.path / "variants" / variant.name
        place.mkdir(parents=True, exist_ok=True)
        write_text_atomically(place / "predictions.csv", predictions_csv(variant, trained))
        if place != folder.path:
            write_json_atomically(place / "summary.json", summary)
    first = summaries[0]
    first["missing"] = [{"family": family, "reason": reason} for family, reason in study.missing.items()]
    if len(summaries) > 1:
        first["variants"] = [
            _variant(variant, summary, "" if summary is first else f"variants/{variant.name}")
            for variant, summary in zip(study.variants, summaries, strict=True)
        ]
        _add_faults(first["variants"], study)
    write_json_atomically(folder.path / "summary.json", first)
    return first


def summarise(variant: Variant, trained: Trained) -> dict[str, Any]:
    """Return the content of `summary.json`: the machine-readable truth of a study.

    Parameters
    ----------
    variant : Variant
        What was run.
    trained : sequence of (Unit, Outcome)
        All of the variant's units.
    """
    plan, consortium = variant.plan, variant.consortium
    panels = predictions_of(variant, trained)
    bootstrap = Bootstrap.draw(next(iter(panels.values())).patients)
    weights = find_weights(FAMILIES[plan.model.family], plan.model.weights)
    arms = {}
    for arm in plan.study.arm_names:
        of_arm = [(unit, outcome) for unit, outcome in trained if unit.arm == arm]
        arms[arm] = evaluate(panels[arm], bootstrap) | _course(of_arm, plan)
        if arm == "local":
            everywhere = panels["local-all"]
            model_of_each = np.arange(len(everywhere.repeats)) % len(consortium.sites)
            arms[arm]["on_all_sites"] = metrics_of(everywhere, bootstrap)
            arms[arm]["models"] = {
                site.name: metrics_of(everywhere.of_sets(model_of_each == index), bootstrap)
                for index, site in enumerate(consortium.sites)
            }
    evaluations = [outcome.federated_evaluation for _, outcome in trained if outcome.federated_evaluation]
    seeds = [plan.training.seed + repeat for repeat in range(plan.study.repeats if plan.study.folds else 1)]
    return {
        "rarefed": version("rarefed"),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "name": plan.study.name or consortium.dataset.name,
        "dataset": _describe(consortium),
        "plan": plan.model_dump(),
        "plan_digest": plan.digest,
        "family": plan.model.family,
        "weights_source": weights.source if weights else "none",
        "weights_sha256": weights.sha256 if weights else None,
        "study": {
            "folds": plan.study.folds or 1,
            "repeats": len(seeds),
            "tested": len(next(iter(panels.values())).labels),
            "seeds": seeds,
            "partition": consortium.partition,
            "strategy": plan.federation.strategy,
        },
        "arms": arms,
        "tests": {
            f"{one}-{other}": compare(panels[one], panels[other], bootstrap, (one, other))
            for one, other in _TESTS
            if one in panels and other in panels
        },
        "gap_closed": gap_closed(panels["federated"], panels["local-all"], panels["centralized"], bootstrap)
        if {"federated", "local-all", "centralized"} <= panels.keys()
        else None,
        "federated_evaluation": evaluations[0] if evaluations and not plan.study.folds else None,
        "cost": _cost(variant, trained),
        "variants": [],
        "missing": [],
    }


def _course(trained: Trained, plan: TrainingPlan) -> dict[str, Any]:
    """Return how an arm's trainings went: the mean learning curve, and what they cost."""
    outcomes = [outcome for _, outcome in trained]
    repeats = len({unit.repeat for unit, _ in trained})
    course: dict[str, Any] = {
        "history": _mean_history(trained),
        "selected": {"progress": float(np.mean([outcome.selected for outcome in outcomes]))},
        # Of one repeat: what a user who does this once would wait and pay for.
        "wall_s": round(sum(outcome.wall_s for outcome in outcomes) / repeats, 2),
        "image_passes": round(sum(outcome.image_passes for outcome in outcomes) / repeats),
        "parameters": {"trained": outcomes[0].trained_parameters, "total": outcomes[0].total_parameters},
    }
    if not plan.study.folds:
        course["weights_digest"] = {unit.site or "global": outcome.weights_digest for unit, outcome in trained}
    return course


def _mean_history(trained: Trained) -> list[dict[str, Any]]:
    """Average the learning curves, and say how far those of the folds are spread; of the local arm pool the sites."""
    curves: defaultdict[tuple[int, int], list[tuple[int, list[dict[str, float | None]]]]] = defaultdict(list)
    for unit, outcome in trained:
        if outcome.history:
            curves[unit.repeat, unit.fold].append((outcome.image_passes, outcome.history))
    pooled = [_pool(parts) for parts in curves.values()]
    points = []
    for moments in zip(*pooled, strict=True):
        point: dict[str, Any] = {"progress": moments[0]["progress"]}
        spread = {}
        for name in _CURVE:
            values = [moment[name] for moment in moments if moment[name] is not None]
            point[name] = float(np.mean(values)) if values else None
            if len(values) > 1 and name != "validation_auc":
                deviation = float(np.std(values, ddof=1))
                spread[name] = [point[name] - deviation, point[name] + deviation]
        points.append(point | {"spread": spread or None})
    return points


def _pool(parts: Sequence[tuple[int, list[dict[str, float | None]]]]) -> list[dict[str, float | None]]:
    """Average the curves of one fold's trainings, weighted by their image passes."""
    pooled = []
    for moments in zip(*(history for _, history in parts), strict=True):
        point: dict[str, float | None] = {"progress": moments[0]["progress"]}
        for name in _CURVE:
            known = [(passes, moment[name]) for (passes, _), moment in zip(parts, moments, strict=True)]
            values = [(passes, value) for passes, value in known if value is not None]
            weight = sum(passes for passes, _ in values)
            point[name] = sum(passes * value for passes, value in values) / weight if values else None
        pooled.append(point)
    return pooled


def _cost(variant: Variant, trained: Trained) -> dict[str, Any]:
    plan = variant.plan
    model = build_model(plan, len(variant.consortium.dataset.classes))
    exchanged = TailLayout.of(model.tail, plan).size * _BYTES_PER_VALUE
    return {
        # Trainings that shared the machine count each; a person waited for less.
        "wall_s": round(sum(outcome.wall_s for _, outcome in trained), 2),
        "bytes_up_per_site_per_round": exchanged,
        "bytes_down_per_site_per_round": exchanged,
        "bytes_model_full": model.value_count * _BYTES_PER_VALUE,
        "rounds": plan.federation.rounds,
        "sites": len(variant.consortium.sites),
    }


def _variant(variant: Variant, summary: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return what a table over variants shows of one."""
    plan = variant.plan.study
    return {
        "family": summary["family"],
        "strategy": summary["study"]["strategy"],
        "partition": summary["study"]["partition"],
        "sites": len(variant.consortium.sites),
        "faults": name_faults(plan.dropout, plan.hostile_sites, plan.hostile),
        "folder": folder,
        "arms": {
            name: {key: value for key, value in arm.items() if key not in _BULKY}
            for name, arm in summary["arms"].items()
        },
        **{key: summary[key] for key in ("weights_source", "tests", "gap_closed", "cost")},
    }


def _add_faults(entries: list[dict[str, Any]], study: Study) -> None:
    """Add to the variants of a study in which hospitals fail what that cost; to those of any other nothing."""
    if not any(is_disturbed(variant) for variant in study.variants):
        return
    trained = {
        variant: [(unit, outcome) for unit, outcome in study.outcomes(variant) if unit.arm == "federated"]
        for variant in study.variants
    }
    against = against_undisturbed(
        {variant: predictions_of(variant, federations)["federated"] for variant, federations in trained.items()}
    )
    for entry, (variant, federations) in zip(entries, trained.items(), strict=True):
        evaluations = [outcome.federated_evaluation for _, outcome in federations if outcome.federated_evaluation]
        entry["against"] = against[variant]
        entry["replies"] = {
            "expected": variant.plan.federation.rounds * len(variant.consortium.sites) * len(federations),
            "left_out": sum(len(evaluation["left_out"]) for evaluation in evaluations),
        }


def _describe(consortium: SimulatedConsortium) -> dict[str, Any]:
    dataset = consortium.dataset
    sites = []
    for site in consortium.sites:
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
        "synthetic": consortium.synthetic,
        "images": len(dataset.records),
        "classes": list(dataset.classes),
        "patients": len({record.patient for record in dataset.records}),
        "patient_source": dataset.patient_source,
        "partition": consortium.partition,
        "excluded": [{"name": image.name, "reason": image.reason} for image in dataset.excluded],
        "sites": sites,
    }
