"""The file of `rarefed-sim recipes`, and the recipes of a study."""

from pathlib import Path

import pytest

from common.errors import InputError
from common.plan.study import parse_recipes
from common.plan.training_plan import TrainingPlan
from simulations.study.recipe_file import read_recipe_file
from simulations.study.trainings import units_of
from simulations.study.variants import variants_of
from tests.federation.data import manifest
from tests.places import ROOT

FILE = """
[sets]
skin = "skin200"
phantom = ""

[plan]
federation.rounds = 2
study.repeats = 3

[recipes.raw]
data.denoise = "none"

[recipes.long]
federation.rounds = 4
study.centralized_epochs = 8
"""


def test_sets_plan_and_recipes_are_read(tmp_path: Path) -> None:
    (tmp_path / "try.toml").write_text(FILE)
    comparison = read_recipe_file(tmp_path / "try.toml", Path("/images"), {"training.seed": 7})
    assert comparison.sets == {"skin": Path("/images/skin200"), "phantom": None}
    plan = comparison.plan
    assert (plan.federation.rounds, plan.study.repeats, plan.study.folds, plan.training.seed) == (2, 3, 5, 7)
    assert parse_recipes(plan.study.recipes) == {
        "raw": {"data.denoise": "none"},
        "long": {"federation.rounds": "4", "study.centralized_epochs": "8"},
    }


def test_each_recipe_of_the_file_that_the_default_is_compared_by_is_another_training(tmp_path: Path) -> None:
    comparison = read_recipe_file(ROOT / "simulations" / "recipes.toml", tmp_path, {})
    plans = {name: comparison.plan.changed(each) for name, each in parse_recipes(comparison.plan.study.recipes).items()}
    assert len({plan.digest for plan in (comparison.plan, *plans.values())}) == 1 + len(plans)
    for name, plan in plans.items():
        passes = plan.federation.rounds * plan.federation.local_epochs
        assert passes == plan.study.centralized_epochs, f"{name} shows an image equally often in every arm"


def test_only_some_are_compared(tmp_path: Path) -> None:
    (tmp_path / "try.toml").write_text(FILE)

    def chosen(*only: str) -> tuple[set[str], set[str]]:
        comparison = read_recipe_file(tmp_path / "try.toml", tmp_path, {}, only)
        return set(comparison.sets), set(parse_recipes(comparison.plan.study.recipes))

    assert chosen("raw") == ({"skin", "phantom"}, {"raw"})
    assert chosen("skin") == ({"skin"}, {"raw", "long"})
    assert chosen("phantom", "long") == ({"phantom"}, {"long"})
    with pytest.raises(InputError, match=r"try.toml: it has no set or recipe 'lang'; did you mean 'long'"):
        chosen("lang")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("[sets]", "[sites]", "sites is none of its tables"),
        ('skin = "skin200"', "skin = 1", "the set skin must be the path"),
        ("[recipes.raw]", "[recipes.'a b']", "'a b: data.denoise=none' is not NAME: KEY=VALUE"),
        ('data.denoise = "none"', "data.fold = 1", "raw changes data.fold, which all recipes of a study share"),
        ('data.denoise = "none"', "study.sites = 2", "raw changes study.sites, which all recipes"),
        ("study.repeats = 3", 'study.name = "x"', "study.name cannot stand in table plan"),
        ("study.repeats = 3", "study.repeat = 3", "did you mean 'study.repeats'"),
    ],
)
def test_a_file_that_is_no_comparison(tmp_path: Path, before: str, after: str, message: str) -> None:
    (tmp_path / "try.toml").write_text(FILE.replace(before, after))
    with pytest.raises(InputError, match=f"try.toml: .*{message}"):
        read_recipe_file(tmp_path / "try.toml", tmp_path, {})


def test_a_recipe_is_a_variant_that_shares_what_it_does_not_change(tmp_path: Path) -> None:
    recipes = "raw: data.denoise=none; slow: federation.rounds=3"
    plan = TrainingPlan.from_flat(
        {"data.path": str(manifest(tmp_path / "tiny")), "study.folds": 2, "study.arms": "federated,centralized"}
    ).changed({"study.recipes": recipes})
    own, raw, slow = variants_of(plan)[0]
    assert [one.recipe for one in (own, raw, slow)] == ["", "raw", "slow"]
    assert {raw.baseline, slow.baseline} == {own.name}
    assert (raw.plan.data.denoise, slow.plan.federation.rounds) == ("none", 3)
    keys = {one.recipe: {unit.arm: unit.key for unit in units_of(one)} for one in (own, raw, slow)}
    assert keys["slow"]["centralized"] == keys[""]["centralized"]
    assert keys["slow"]["federated"] != keys[""]["federated"]
    assert not set(keys["raw"].values()) & set(keys[""].values())


def test_a_recipe_of_an_unknown_key_is_refused(tmp_path: Path) -> None:
    plan = TrainingPlan.from_flat({"data.path": str(manifest(tmp_path / "tiny")), "study.folds": 2})
    with pytest.raises(InputError, match=r"data\.denoize"):
        variants_of(plan.changed({"study.recipes": "raw: data.denoize=none"}))
