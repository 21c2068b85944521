"""import tomllib"""

import tomllib
from typing import Any

import pydantic
import pytest

from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from tests.places import ROOT

FEDBN = {"federation.strategy": "fedbn", "model.batch_norm": "train"}


def test_defaults_are_those_of_flowers_run_config() -> None:
    with (ROOT / "pyproject.toml").open("rb") as stream:
        nested = tomllib.load(stream)["tool"]["flwr"]["app"]["config"]
    flat = {f"{group}.{key}": value for group, values in nested.items() for key, value in values.items()}
    assert flat == TrainingPlan().flat()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data.split": "official", "study.folds": 5}, "study.folds = 5 does not apply: take `rarefed-sim run`"),
        ({"data.split": "official", "data.fold": 1}, "data.split = 'official' has no folds"),
        ({"training.learningrate": 1}, "did you mean 'training.learning_rate'?"),
        ({"rounds": 3}, "did you mean 'federation.rounds'?"),
        ({"training.rounds": 3}, "did you mean 'federation.rounds'?"),
        ({"federation.rounds": 0}, "federation.rounds = 0: must be at least 1"),
        (
            {"training.learning_rate": "0,001"},
            "learning_rate = '0,001': a number is expected; with a decimal point, 0.001",
        ),
        ({"trainig.seed": 1}, "did you mean 'training.seed'?"),
        ({"data.test_fraction": "20%"}, "a number is expected; a share, 0.2"),
        ({"data.classes": "[a,b]"}, "write the names without brackets, negative,positive"),
        ({"study.name": "S\u00fcd"}, "only these signs may stand there: "),
        ({"federation.rounds": "1.5"}, "federation.rounds = '1.5': a whole number is expected"),
        ({"federation.strategy": "FedAvg"}, "did you mean 'fedavg'?"),
        ({"Training.Learning-Rate": 1}, "did you mean 'training.learning_rate'?"),
        ({"data.path": "C:\new"}, "it holds a control character"),
        ({"data.classes": ["a", "b"]}, "data.classes = ['a', 'b']: one text is expected"),
        ({"federation.rounds": "abc"}, "federation.rounds = 'abc'"),
        ({"training.seed": True}, "training.seed = True: a number is expected"),
        ({"training.learning_rate": float("nan")}, "training.learning_rate = nan"),
        ({"model.family": "resnet"}, "did you mean 'resnet50'?"),
        ({"model.freeze": "layer3"}, "unknown for efficientnet_lite0; one of none, early, all, stem, block0"),
        ({"model.family": "inception_v3", "data.size": 64}, "too small for inception_v3: at least 75"),
        ({"augmentation.read_scale": 0.9}, "augmentation.read_scale = 0.9"),
        ({"data.fold": 5}, "test_fraction 0.2 makes 5 folds"),
        ({"study.arms": "local,central"}, "did you mean 'centralized'?"),
        ({"study.arms": " , "}, "study.arms is empty"),
        ({"study.name": "a/b"}, "study.name = 'a/b'"),
        ({"study.folds": 1}, "nothing would be left to train on"),
        ({"study.models": "vgg16,resnet"}, "did you mean 'resnet50'?"),
        ({"study.strategies": "fedavrg"}, "did you mean 'fedavg'?"),
        ({"federation.strategy": "fedbn"}, "set model.batch_norm = 'train', or take another strategy"),
        ({"study.strategies": "fedavg,fedbn"}, "set model.batch_norm = 'train', or take another strategy"),
        (FEDBN | {"model.family": "vgg16"}, "vgg16 has none"),
        (FEDBN | {"study.models": "resnet50,vgg16"}, "vgg16 has none"),
        (FEDBN | {"model.freeze": "all"}, "model.freeze = 'all' leaves fedbn no normalisation layer"),
        (FEDBN | {"model.freeze": "top"}, "model.freeze = 'top' leaves fedbn no normalisation layer"),
        ({"study.partitions": "random"}, "study.partitions names 'random'"),
        ({"study.site_counts": "2,0"}, "study.site_counts names '0'"),
    ],
)
def test_a_wrong_plan_is_refused_in_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        TrainingPlan.from_flat(changes)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_values_arrive_in_their_own_type() -> None:
    plan = TrainingPlan.from_flat({"training.learning_rate": 1, "federation.rounds": "7", "study.arms": "local"})
    assert plan.training.learning_rate == 1.0
    assert plan.federation.rounds == 7
    assert plan.study.arm_names == ("local",)


def test_the_digest_depends_on_values_alone() -> None:
    plan = TrainingPlan()
    assert TrainingPlan.from_json(plan.to_json()).digest == plan.digest
    flat = plan.flat()
    assert TrainingPlan.from_flat(dict(reversed(flat.items()))).digest == plan.digest
    assert plan.changed({"federation.wait_seconds": 120}).digest == plan.digest
    assert plan.changed({"training.seed": 2}).digest != plan.digest


def test_a_plan_that_is_no_json_is_refused() -> None:
    with pytest.raises(InputError, match="no JSON"):
        TrainingPlan.from_json("{")


def test_a_plan_cannot_be_changed_in_place() -> None:
    with pytest.raises(pydantic.ValidationError):
        TrainingPlan().training.seed = 3  # type: ignore[misc]


def test_a_path_that_is_no_text_is_refused() -> None:
    with pytest.raises(InputError, match=r"data.path = '/d\\udce4ta': it is no UTF-8 text"):
        TrainingPlan.from_flat({"data.path": "/d\udce4ta"})


def test_a_study_trains_families_on_one_side_or_each_on_its_own() -> None:
    plan = TrainingPlan.from_flat({"data.size": 192})
    assert plan.families == ("efficientnet_lite0",)
    assert plan.size_for("efficientnet_lite2") == 192
    own = plan.changed({"study.own_size": True, "study.models": "efficientnet_lite2,inception_v3"})
    assert {family: own.size_for(family) for family in own.families} == {"efficientnet_lite2": 260, "inception_v3": 299}
