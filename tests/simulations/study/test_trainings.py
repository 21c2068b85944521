"""What a study consists of: which trainings, on which folds, and which of them are the same."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import InputError
from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from common.training import computing_environment
from simulations.study import trainings
from simulations.study.trainings import Unit, units_of
from simulations.study.variants import variants_of
from tests.federation.data import manifest


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return manifest(tmp_path_factory.mktemp("data") / "tiny")


def plan_of(data: Path, **changes: Scalar) -> TrainingPlan:
    flat: dict[str, Scalar] = {"data.path": str(data), "study.folds": 3}
    return TrainingPlan.from_flat(flat | {key.replace("__", "."): value for key, value in changes.items()})


def units(plan: TrainingPlan) -> list[Unit]:
    return [unit for variant in variants_of(plan)[0] for unit in units_of(variant)]


def test_every_image_is_tested_once_a_repeat_and_never_by_a_model_that_saw_its_patient(data: Path) -> None:
    for arm in ("federated", "centralized"):
        chosen = [unit for unit in units(plan_of(data, study__repeats=2)) if unit.arm == arm]
        assert [(unit.repeat, unit.fold) for unit in chosen] == [(r, f) for r in (0, 1) for f in (0, 1, 2)]
        for repeat in (0, 1):
            tested: Counter[str] = Counter()
            for unit in chosen:
                if unit.repeat == repeat:
                    tested.update(record.name for record in unit.consortium.pooled("test"))
                    seen = {r.patient for split in ("train", "validation") for r in unit.consortium.pooled(split)}
                    assert not seen & {record.patient for record in unit.consortium.pooled("test")}
            assert len(tested) == 24
            assert set(tested.values()) == {1}
    first, second = ([r.name for r in chosen[index].consortium.pooled("test")] for index in (0, 3))
    assert first != second, "another repeat has other folds"
    sites = [[site.name for site in unit.consortium.sites] for unit in chosen]
    assert sites[0] == sites[-1]


def planted(root: Path, sites: tuple[str, str]) -> Path:
    """A patient with images in two classes, and perhaps at two hospitals, among ordinary ones."""
    root.mkdir()
    rows = [
        (f"p{number}", ("healthy", "sick")[number % 2], ("north", "south")[number % 4 // 2]) for number in range(32)
    ]
    rows += [("planted", label, site) for label in ("healthy", "sick") for site in sites for _ in range(2)]
    rng = np.random.default_rng(0)
    with (root / "manifest.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "patient", "site"])
        for number, (patient, label, site) in enumerate(rows):
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(root / f"{number}.png")
            writer.writerow([f"{number}.png", label, patient, site])
    return root


@pytest.mark.parametrize("sites", [("north", "north"), ("north", "south")])
@pytest.mark.parametrize("kind", ["natural", "dirichlet"])
def test_a_planted_patient_with_images_in_two_classes_never_crosses_a_fold(
    tmp_path: Path, sites: tuple[str, str], kind: str
) -> None:
    plan = plan_of(planted(tmp_path / "data", sites), study__partition=kind, study__folds=5, study__repeats=3)
    uses = []
    for unit in units(plan):
        if unit.arm == "centralized":
            found = {
                split: [r.name for r in unit.consortium.pooled(split) if r.patient == "planted"]
                for split in ("train", "validation", "test")
            }
            assert sorted(map(len, found.values())) == [0, 0, 8]
            uses.append(max(found, key=lambda split: len(found[split])))
    assert uses.count("test") == 3, "once a repeat"


@pytest.mark.parametrize("other", ["fedprox", "fedbn"])
def test_arms_that_do_not_depend_on_the_strategy_are_trained_once_for_all(data: Path, other: str) -> None:
    plan = plan_of(
        data,
        model__batch_norm="train",
        study__strategies=f"fedavg,{other}",
        study__arms="federated,centralized,local,probe",
    )
    variants, missing = variants_of(plan)
    assert [variant.plan.federation.strategy for variant in variants] == ["fedavg", other]
    assert missing == {}
    keys = [{unit.key for unit in units_of(variant)} for variant in variants]
    assert len(keys[0]) == len(keys[1]) == 3 * (1 + 1 + 2 + 1)
    assert len(keys[0] & keys[1]) == 3 * (1 + 2 + 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"training__learning_rate": 1e-3},
        {"training__seed": 2},
        {"model__dropout": 0.5},
        {"augmentation__seed": 2},
        {"study__centralized_epochs": 7},
        {"federation__select": "mean"},
        {"study__partition": "iid"},
    ],
)
def test_whatever_changes_a_training_changes_its_key(data: Path, changes: dict[str, Scalar]) -> None:
    def key(plan: TrainingPlan) -> str:
        return next(unit.key for unit in units(plan) if unit.arm == "centralized")

    assert key(plan_of(data, **changes)) != key(plan_of(data))


def test_another_number_format_or_library_is_another_training(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = units(plan_of(data))
    before = first.key
    environment = computing_environment.computing_environment(plan_of(data))
    assert {"device", "number format", "processor", "torch", "timm"} <= environment.keys()
    monkeypatch.setattr(computing_environment, "computing_environment", lambda plan: environment | {"torch": "3.0"})
    second, *_ = units(plan_of(data))
    assert second.key != before


@pytest.mark.parametrize(
    "changes",
    [{"federation__rounds": 7}, {"study__repeats": 9}, {"study__output": "x"}, {"privacy__update_clip_norm": 1.0}],
)
def test_what_does_not_change_a_training_leaves_its_key(data: Path, changes: dict[str, Scalar]) -> None:
    def key(plan: TrainingPlan) -> str:
        return next(unit.key for unit in units(plan) if unit.arm == "centralized")

    assert key(plan_of(data, **changes)) == key(plan_of(data))


def test_other_images_give_other_keys(tmp_path: Path, data: Path) -> None:
    other = planted(tmp_path / "other", ("north", "north"))
    assert not {unit.key for unit in units(plan_of(other))} & {unit.key for unit in units(plan_of(data))}


def test_partitions_and_site_counts_are_combined_and_natural_sites_are_as_many_as_they_are(data: Path) -> None:
    plan = plan_of(data, study__partitions="natural,iid,dirichlet", study__site_counts="2,3")
    names = [variant.name for variant in variants_of(plan)[0]]
    assert [name.removeprefix("efficientnet_lite0-fedavg-") for name in names] == [
        "natural-2",
        "iid-2",
        "iid-3",
        "dirichlet-2",
        "dirichlet-3",
    ]


def test_a_family_without_weights_is_named_or_trained_from_scratch_but_never_dropped_silently(
    data: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RAREFED_WEIGHTS", str(tmp_path))
    plan = plan_of(data, study__models="efficientnet_lite0,resnet50")
    variants, missing = variants_of(plan)
    assert [variant.plan.model.family for variant in variants] == ["efficientnet_lite0"]
    assert "rarefed-sim weights fetch resnet50" in missing["resnet50"]
    variants, missing = variants_of(plan.changed({"study.missing_weights": "scratch"}))
    assert missing == {}
    assert variants[1].plan.model.weights == "none"
    assert variants[1].plan.model.freeze == "none"
    with pytest.raises(InputError, match="no pretrained weights for resnet50"):
        variants_of(plan_of(data, study__models="resnet50"))


def test_the_scratch_arm_has_no_pretraining_and_nothing_frozen(data: Path) -> None:
    scratch = next(unit for unit in units(plan_of(data, study__arms="scratch")))
    model = scratch.plan.model
    assert (model.weights, model.freeze, model.batch_norm) == ("none", "none", "train")


def test_a_single_split_has_one_fold_and_the_plans_own_seed(data: Path) -> None:
    plan = plan_of(data, study__folds=0, data__fold=2, study__arms="federated")
    (unit,) = units(plan)
    assert (unit.repeat, unit.fold) == (0, 2)
    assert unit.plan.training.seed == plan.training.seed
    assert unit.title == "federated"


def test_other_weights_under_the_same_name_are_another_training(data: Path, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    keys = []
    for content in (b"one", b"other"):
        weights.write_bytes(content)
        trainings._digest_of_weights.cache_clear()  # as in another process
        keys.append([unit.key for unit in units(plan_of(data, model__weights=str(weights)))])
    assert not set(keys[0]) & set(keys[1])


def test_families_may_be_trained_on_images_of_their_own_side(data: Path) -> None:
    plan = plan_of(data, study__models="efficientnet_lite0,inception_v3", study__missing_weights="scratch")
    assert {variant.plan.data.size for variant in variants_of(plan)[0]} == {plan.data.size}
    own = variants_of(plan.changed({"study.own_size": True, "data.size": 112, "augmentation.read_scale": 1.143}))[0]
    assert [(one.plan.data.size, one.plan.read_side) for one in own] == [(224, 256), (299, 342)]


def test_a_recipe_may_change_the_family_or_the_side_of_families_on_their_own(data: Path) -> None:
    recipes = "other: model.family=efficientnet_lite2; small: data.size=96; long: federation.rounds=3"
    plan = plan_of(data, model__weights="none", study__recipes=recipes, study__own_size=True)
    sides = {one.recipe: one.plan.data.size for one in variants_of(plan)[0]}
    assert sides == {"": 224, "other": 260, "small": 96, "long": 224}
    for one in variants_of(plan)[0]:
        assert one.plan.size_for(one.plan.model.family) == one.plan.data.size
