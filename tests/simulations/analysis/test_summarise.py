"""From outcomes to summary.json and predictions.csv, with outcomes that are known."""

import csv
import io
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from common.evaluation.learning_curve import CurvePoint, curve_point_entry
from common.models.classifier import build_model
from common.models.tail_layout import TailLayout
from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from common.summary.arm import CurvePointRecord
from simulations.analysis.out_of_fold import prediction_rows, predictions_of
from simulations.analysis.predictions_csv import write_predictions
from simulations.analysis.summarise import summarise
from simulations.analysis.variant_records import describe_variants
from simulations.study.outcomes import Outcome
from simulations.study.runner import Study
from simulations.study.trainings import Unit, units_of
from simulations.study.variants import Variant, variants_of
from tests.federation.data import manifest

Trained = list[tuple[Unit, Outcome]]


def outcome_of(unit: Unit) -> Outcome:
    """Be right about the own hospital (or all of them, for a model of all), wrong about others; surer in repeat 0."""
    sure = 0.9 if unit.repeat == 0 else 0.7
    rows = []
    consortium = unit.consortium
    for record, site in zip(consortium.pooled("test"), consortium.site_of_each("test"), strict=True):
        truth = sure if unit.site in ("", site) else 1 - sure
        rows.append([1 - truth, truth] if record.label else [truth, 1 - truth])
    if unit.arm == "centralized":
        rows[0] = rows[0][::-1]
    loss = 0.5 + 0.1 * unit.fold
    return Outcome(
        probabilities=rows,
        learning_curve=[
            CurvePointRecord(**curve_point_entry(CurvePoint(p, loss / p, None)) | {"validation_loss": loss})
            for p in (0.5, 1.0)
        ],
        selected=0.5,
        wall_s=2.0,
        samples_seen=100,
        trained_parameters=10,
        total_parameters=20,
        weights_digest="ab" * 32,
    )


@pytest.fixture(scope="module")
def variant(tmp_path_factory: pytest.TempPathFactory) -> Variant:
    data = manifest(tmp_path_factory.mktemp("data") / "tiny")
    arms = "federated,centralized,local"
    plan = {"data.path": str(data), "study.folds": 2, "study.repeats": 2, "study.arms": arms}
    return variants_of(TrainingPlan.from_flat(plan))[0][0]


@pytest.fixture(scope="module")
def trained(variant: Variant) -> Trained:
    return [(unit, outcome_of(unit)) for unit in units_of(variant)]


def test_every_patient_is_judged_at_home_and_by_every_hospitals_model(variant: Variant, trained: Trained) -> None:
    by_arm = predictions_of(variant, trained)
    assert {name: predictions.probabilities.shape for name, predictions in by_arm.items()} == {
        "federated": (2, 24, 2),
        "centralized": (2, 24, 2),
        "local": (2, 24, 2),
        "local-all": (4, 24, 2),
    }
    assert (by_arm["local"].predicted == by_arm["local"].labels).all()
    home = by_arm["local-all"].sites == "north"
    north, south = (by_arm["local-all"].predicted[model] == by_arm["local-all"].labels for model in (0, 1))
    assert (north == home).all()
    assert (south == ~home).all()
    assert by_arm["local-all"].repeats.tolist() == [0, 0, 1, 1]
    for predictions in by_arm.values():
        assert predictions.images.tolist() == by_arm["federated"].images.tolist()


def test_the_summary_counts_each_image_once_and_averages_over_repeats(variant: Variant, trained: Trained) -> None:
    summary = summarise(variant, trained).to_json()
    assert summary["study"]["tested"] == 24
    assert (summary["study"]["folds"], summary["study"]["repeats"], summary["study"]["seeds"]) == (2, 2, [1, 2])
    arms = summary["arms"]
    assert (arms["federated"]["correct"], arms["federated"]["total"]) == (24, 24)
    assert arms["centralized"]["correct"] == 22
    assert (arms["local"]["correct"], arms["local"]["on_all_sites"]["correct"]) == (24, 12)
    assert {site: entry["correct"] for site, entry in arms["local"]["models"].items()} == {"north": 12, "south": 12}
    assert np.sum(arms["centralized"]["confusion"]) == 24
    assert len(arms["federated"]["per_repeat"]) == 2
    assert arms["federated"]["per_site"].keys() == {"north", "south"}
    assert summary["tests"]["federated-centralized"]["accuracy"]["difference"] == pytest.approx(2 / 24)
    assert summary["tests"].keys() >= {"federated-local", "federated-local-all", "centralized-local-all"}
    assert summary["gap_closed"]["accuracy"]["value"] == pytest.approx(12 / 10)


def test_the_course_of_an_arm_is_averaged_over_folds_and_costs_are_of_one_repeat(
    variant: Variant, trained: Trained
) -> None:
    arm = summarise(variant, trained).to_json()["arms"]["federated"]
    assert arm["image_passes"] == 200
    assert arm["wall_s"] == 4
    assert [point["progress"] for point in arm["history"]] == [0.5, 1.0]
    assert arm["history"][1]["train_loss"] == pytest.approx(0.55)
    low, high = arm["history"][1]["spread"]["validation_loss"]
    assert (low + high) / 2 == pytest.approx(0.55)
    assert arm["history"][1]["validation_accuracy"] is None
    local = summarise(variant, trained).to_json()["arms"]["local"]
    assert local["image_passes"] == 400


def test_what_travels_is_counted_in_float32(variant: Variant, trained: Trained) -> None:
    cost = summarise(variant, trained).to_json()["cost"]
    model = build_model(variant.plan, 2)
    assert cost["bytes_up_per_site_per_round"] == TailLayout.of(model.tail, variant.plan).size * 4
    assert cost["bytes_model_full"] == sum(tensor.numel() for tensor in model.state_dict().values()) * 4


def test_a_variant_says_on_which_side_it_was_trained(variant: Variant) -> None:
    own: dict[str, Scalar] = {"study.own_size": True, "study.models": "efficientnet_lite0,efficientnet_lite1"}
    changes: dict[str, Scalar] = {"model.weights": "none", "study.arms": "centralized", "study.repeats": 1}
    variants, _ = variants_of(variant.plan.changed(own | changes))
    summaries = [summarise(one, [(unit, outcome_of(unit)) for unit in units_of(one)]) for one in variants]
    records = describe_variants(cast(Study, SimpleNamespace(variants=variants)), summaries)
    assert [record.to_json()["size"] for record in records] == [224, 240]


def test_predictions_have_a_line_for_each_image_model_and_repeat(
    variant: Variant, trained: Trained, tmp_path: Path
) -> None:
    path = tmp_path / "predictions.csv"
    write_predictions(path, variant.consortium.dataset.classes, prediction_rows(trained))
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    assert len(rows) == 2 * 24 * (1 + 1 + 2)
    keys = {(row["arm"], row["model"], row["repeat"], row["image"]) for row in rows}
    assert len(keys) == len(rows)
    first = rows[0]
    assert (first["arm"], first["model"], first["fold"], first["site"]) == ("federated", "", "0", "north")
    assert float(first["p_healthy"]) + float(first["p_sick"]) == pytest.approx(1)
