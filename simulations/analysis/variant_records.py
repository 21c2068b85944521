"""What the summary of a sweep says about each of its variants."""

from collections.abc import Sequence

from common.summary.arm import ArmRecord
from common.summary.comparison import PairedTestRecord
from common.summary.summary import RepliesRecord, Summary, VariantRecord
from simulations.analysis.out_of_fold import Trained, predictions_of
from simulations.analysis.recipe_tests import against_plan
from simulations.analysis.robustness import against_undisturbed, is_disturbed
from simulations.study.arms import FEDERATED
from simulations.study.fault_descriptions import name_faults
from simulations.study.runner import Study
from simulations.study.variants import Variant

# What no table over variants shows.
_DETAILS = {"per_repeat", "per_site", "reliability", "learning_curve", "models"}


def describe_variants(study: Study, summaries: Sequence[Summary]) -> list[VariantRecord]:
    """Return the records of a study's variants, whose summaries come in the same order.

    Where hospitals fail in any of them, the records also say what that cost; where there are recipes, how far each is
    from the plan.
    """
    records = [
        _describe(variant, summary, "" if index == 0 else f"variants/{variant.name}")
        for index, (variant, summary) in enumerate(zip(study.variants, summaries, strict=True))
    ]
    if any(variant.recipe for variant in study.variants):
        tests = against_plan({variant: predictions_of(variant, study.outcomes(variant)) for variant in study.variants})
        records = [
            record.extended(against_plan=tests[variant])
            for record, variant in zip(records, study.variants, strict=True)
        ]
    if not any(is_disturbed(variant) for variant in study.variants):
        return records
    federations = {
        variant: [(unit, outcome) for unit, outcome in study.outcomes(variant) if unit.arm == FEDERATED]
        for variant in study.variants
    }
    against = against_undisturbed(
        {variant: predictions_of(variant, trained)[FEDERATED] for variant, trained in federations.items()}
    )
    return [
        _with_faults(record, against[variant], variant, trained)
        for record, (variant, trained) in zip(records, federations.items(), strict=True)
    ]


def _describe(variant: Variant, summary: Summary, folder: str) -> VariantRecord:
    plan = variant.plan.study
    return VariantRecord(
        family=variant.plan.model.family,
        strategy=variant.plan.federation.strategy,
        partition=variant.consortium.partition,
        sites=len(variant.consortium.sites),
        faults=name_faults(plan.dropout, plan.hostile_sites, plan.hostile),
        recipe=variant.recipe,
        size=variant.plan.data.size,
        folder=folder,
        arms={name: _without_details(arm) for name, arm in summary.arms.items()},
        weights_source=summary.weights_source,
        tests=summary.tests,
        gap_closed=summary.gap_closed,
        cost=summary.cost,
    )


def _without_details(arm: ArmRecord) -> ArmRecord:
    return ArmRecord.model_validate(arm.model_dump(exclude=_DETAILS, exclude_unset=True))


def _with_faults(
    record: VariantRecord, against: dict[str, PairedTestRecord], variant: Variant, federations: Trained
) -> VariantRecord:
    evaluations = [outcome.federated_evaluation for _, outcome in federations if outcome.federated_evaluation]
    replies = RepliesRecord(
        expected=variant.plan.federation.rounds * len(variant.consortium.sites) * len(federations),
        left_out=sum(len(evaluation.left_out) for evaluation in evaluations),
    )
    return record.extended(against=against, replies=replies)
