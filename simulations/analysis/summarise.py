"""From trained units to the files of a run: `summary.json` and `predictions.csv`, out of which the report is drawn."""

import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import numpy as np

from common.models.classifier import build_model
from common.models.pretrained_weights import find_weights
from common.models.tail_layout import TailLayout
from common.plan.families import FAMILIES
from common.plan.training_plan import TrainingPlan
from common.statistics.bootstrap import Bootstrap
from common.summary.arm import ArmRecord, ParametersRecord, SelectedRecord
from common.summary.comparison import GapClosedRecord
from common.summary.summary import CostRecord, DesignRecord, MissingRecord, Summary
from common.summary.summary_file import write_summary
from common.training.computing_environment import computing_environment
from server.runs.run_folder import RunFolder
from simulations.analysis.arm_comparison import compare_predictions
from simulations.analysis.dataset_record import describe_dataset
from simulations.analysis.evaluation import evaluate, metrics_of
from simulations.analysis.gap_closed import gap_closed
from simulations.analysis.mean_learning_curve import mean_learning_curve
from simulations.analysis.out_of_fold import Trained, prediction_rows, predictions_of
from simulations.analysis.predictions import Predictions
from simulations.analysis.predictions_csv import write_predictions
from simulations.analysis.variant_records import describe_variants
from simulations.sites.consortium import SimulatedConsortium
from simulations.study.arms import ARMS, CENTRALIZED, COMPARISONS, FEDERATED, GAP_ARMS, LOCAL_ALL
from simulations.study.outcomes import Outcome
from simulations.study.runner import Study
from simulations.study.variants import Variant


def write_results(study: Study, folder: RunFolder) -> Summary:
    """Write the summary and predictions of a trained study, and of each variant of a sweep; return the summary."""
    summaries = []
    for variant in study.variants:
        trained = study.outcomes(variant)
        summary = summarise(variant, trained)
        summaries.append(summary)
        place = folder.path if variant is study.variants[0] else folder.path / "variants" / variant.name
        place.mkdir(parents=True, exist_ok=True)
        classes = variant.consortium.dataset.classes
        write_predictions(place / "predictions.csv", classes, prediction_rows(trained))
        if place != folder.path:
            write_summary(place, summary)
    missing = [MissingRecord(family=family, reason=reason) for family, reason in study.missing.items()]
    variants = describe_variants(study, summaries) if len(summaries) > 1 else []
    first = summaries[0].model_copy(update={"variants": variants, "missing": missing})
    write_summary(folder.path, first)
    return first


def summarise(variant: Variant, trained: Trained) -> Summary:
    """Return the summary of a variant, without other variants.

    Parameters
    ----------
    variant : Variant
        What was run.
    trained : sequence of (Unit, Outcome)
        All of the variant's units.
    """
    plan, consortium = variant.plan, variant.consortium
    predictions = predictions_of(variant, trained)
    bootstrap = Bootstrap.draw(next(iter(predictions.values())).patients)
    weights = find_weights(FAMILIES[plan.model.family], plan.model.weights)
    evaluations = [outcome.federated_evaluation for _, outcome in trained if outcome.federated_evaluation]
    return Summary(
        rarefed=version("rarefed"),
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        name=plan.study.name or consortium.dataset.name,
        dataset=describe_dataset(consortium),
        plan=plan.model_dump(),
        plan_digest=plan.digest,
        family=plan.model.family,
        weights_source=weights.source if weights else "none",
        weights_sha256=weights.sha256 if weights else None,
        environment=computing_environment(plan),
        study=_design(plan, consortium, tested=len(next(iter(predictions.values())).labels)),
        arms={arm: _arm(arm, plan, consortium, trained, predictions, bootstrap) for arm in plan.study.arm_names},
        tests={
            f"{one}-{other}": compare_predictions(predictions[one], predictions[other], bootstrap, (one, other))
            for one, other in COMPARISONS
            if one in predictions and other in predictions
        },
        gap_closed=_gap_closed(predictions, bootstrap),
        federated_evaluation=evaluations[0] if evaluations and not plan.study.folds else None,
        cost=_cost(variant, trained),
        variants=[],
        missing=[],
    )


def _design(plan: TrainingPlan, consortium: SimulatedConsortium, tested: int) -> DesignRecord:
    repeats = plan.study.repeats if plan.study.folds else 1
    return DesignRecord(
        folds=plan.study.folds or 1,
        repeats=repeats,
        tested=tested,
        seeds=[plan.training.seed + repeat for repeat in range(repeats)],
        partition=consortium.partition,
        strategy=plan.federation.strategy,
    )


def _selected(outcomes: Sequence[Outcome]) -> SelectedRecord:
    starts = [outcome.averaged_from for outcome in outcomes if outcome.averaged_from is not None]
    return SelectedRecord(
        progress=float(np.mean([outcome.selected for outcome in outcomes])),
        averaged_from=float(np.mean(starts)) if starts else None,
    )


def _arm(
    arm: str,
    plan: TrainingPlan,
    consortium: SimulatedConsortium,
    trained: Trained,
    predictions: Mapping[str, Predictions],
    bootstrap: Bootstrap,
) -> ArmRecord:
    """Return what the summary says of one arm: its predictions, how its trainings went, and what they cost."""
    of_arm = [(unit, outcome) for unit, outcome in trained if unit.arm == arm]
    outcomes = [outcome for _, outcome in of_arm]
    repeats = len({unit.repeat for unit, _ in of_arm})
    record = evaluate(predictions[arm], bootstrap).extended(
        learning_curve=mean_learning_curve(of_arm),
        selected=_selected(outcomes),
        # Of one repeat: what a user who does this once would wait and pay for.
        wall_s=round(sum(outcome.wall_s for outcome in outcomes) / repeats, 2),
        samples_seen=round(sum(outcome.samples_seen for outcome in outcomes) / repeats),
        parameters=ParametersRecord(trained=outcomes[0].trained_parameters, total=outcomes[0].total_parameters),
    )
    if not plan.study.folds:
        digests = {unit.site or "global": outcome.weights_digest for unit, outcome in of_arm}
        record = record.extended(weights_digest=digests)
    if ARMS[arm].one_model_per_site:
        everywhere = predictions[ARMS[arm].judged_everywhere_as]
        model_of_each = np.arange(len(everywhere.repeats)) % len(consortium.sites)
        record = record.extended(
            on_all_sites=metrics_of(everywhere, bootstrap),
            models={
                site.name: metrics_of(everywhere.of_sets(model_of_each == index), bootstrap)
                for index, site in enumerate(consortium.sites)
            },
        )
    return record


def _gap_closed(predictions: Mapping[str, Predictions], bootstrap: Bootstrap) -> dict[str, GapClosedRecord] | None:
    if not predictions.keys() >= set(GAP_ARMS):
        return None
    return gap_closed(predictions[FEDERATED], predictions[LOCAL_ALL], predictions[CENTRALIZED], bootstrap)


def _cost(variant: Variant, trained: Trained) -> CostRecord:
    plan, consortium = variant.plan, variant.consortium
    model = build_model(plan, len(consortium.dataset.classes))
    return CostRecord.of_federation(
        # Trainings that shared the machine count each; a person waited for less.
        wall_seconds=sum(outcome.wall_s for _, outcome in trained),
        exchanged_weights=TailLayout.of(model.tail, plan).size,
        all_weights=model.value_count,
        rounds=plan.federation.rounds,
        sites=len(consortium.sites),
    )
