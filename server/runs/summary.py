"""From a finished federation to its summary, in the form that the simulation writes too."""

import time
from collections.abc import Sequence
from importlib.metadata import version

from common.models.classifier import Classifier
from common.models.tail_layout import TailLayout, tail_digest
from common.plan.training_plan import TrainingPlan
from common.summary.arm import ArmRecord, ParametersRecord, SelectedRecord
from common.summary.summary import CostRecord, DatasetRecord, DesignRecord, SiteRecord, Summary
from server.rounds.reply_checks import SiteInfo
from server.rounds.state import FederationResult
from server.runs.round_records import federated_evaluation, learning_curve, metrics_of_counts, pooled_metrics

_PARTITION = "hospitals"


def summarise(
    name: str,
    plan: TrainingPlan,
    classes: Sequence[str],
    infos: Sequence[SiteInfo],
    model: Classifier,
    result: FederationResult,
    wall_seconds: float,
) -> Summary:
    """Return the summary of a federation of hospitals.

    What is known only to someone who sees all images is empty: other arms, tests between them, patients, images per
    class.

    Parameters
    ----------
    name : str
        Name in the plan, else of the consortium.
    plan : TrainingPlan
    classes : sequence of str, in label order
    infos : sequence of SiteInfo
        The hospitals that took part.
    model : Classifier, with any tail
    result : FederationResult
    wall_seconds : float
        Time from the start of the run to the last reply.
    """
    arm = _arm(plan, model, result, wall_seconds)
    return Summary(
        rarefed=version("rarefed"),
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        name=name,
        dataset=_dataset(name, classes, infos),
        plan=plan.model_dump(),
        plan_digest=plan.digest,
        family=plan.model.family,
        weights_source=model.weights.source if model.weights else "none",
        weights_sha256=model.weights.sha256 if model.weights else None,
        study=DesignRecord(
            folds=1,
            repeats=1,
            tested=arm.total,
            seeds=[plan.training.seed],
            partition=_PARTITION,
            strategy=plan.federation.strategy,
        ),
        arms={"federated": arm},
        tests={},
        gap_closed=None,
        federated_evaluation=federated_evaluation(result),
        cost=CostRecord.of_federation(
            wall_seconds=wall_seconds,
            exchanged_weights=TailLayout.of(model.tail, plan).size,
            all_weights=model.value_count,
            rounds=plan.federation.rounds,
            sites=len(infos),
        ),
        variants=[],
        missing=[],
    )


def _arm(plan: TrainingPlan, model: Classifier, result: FederationResult, wall_seconds: float) -> ArmRecord:
    layout, personal = TailLayout.of(model.tail, plan), TailLayout.personal(model.tail, plan)
    images = sum(site.images for report in result.rounds for site in report.sites.values())
    arm = ArmRecord(
        per_site={site: metrics_of_counts(counts) for site, counts in result.test.items() if counts.images},
        learning_curve=learning_curve(result, plan.federation.rounds),
        selected=SelectedRecord(
            progress=result.selected_round / plan.federation.rounds,
            averaged_from=result.averaged_from and result.averaged_from / plan.federation.rounds,
        ),
        wall_s=round(wall_seconds, 2),
        samples_seen=plan.federation.local_epochs * images,
        parameters=ParametersRecord(trained=layout.size + personal.size, total=model.parameter_count),
        weights_digest={"global": tail_digest(result.tail)},
    )
    tested = pooled_metrics(result.test.values())
    return arm.extended(**tested.fields()) if tested else arm


def _dataset(name: str, classes: Sequence[str], infos: Sequence[SiteInfo]) -> DatasetRecord:
    sites = [
        SiteRecord(
            name=info.name,
            images=info.train_images + (info.validation_images or 0) + (info.test_images or 0),
            patients=None,
            per_class={},
            train=info.train_images,
            validation=info.validation_images,
            test=info.test_images,
        )
        for info in infos
    ]
    return DatasetRecord(
        name=name,
        synthetic=False,
        images=sum(site.images for site in sites),
        classes=list(classes),
        patients=None,
        patient_source="known to the hospitals only",
        partition=_PARTITION,
        excluded=[],
        sites=sites,
    )
