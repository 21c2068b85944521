"""What recipes gain over several sets, and which recipe each set would get from the others."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from common.errors import InputError
from common.summary.arm import ArmRecord
from common.summary.comparison import DifferenceRecord, PairedTestRecord
from common.summary.summary import DatasetRecord, DesignRecord, Summary, VariantRecord
from simulations.analysis.recipes_over_sets import gains, leave_one_set_out
from simulations.report.tables.recipe_gains_tables import recipe_gains_tables


def summary(gained: dict[str, float | None], correct: int = 160) -> Summary:
    """A set on which recipes gained so much AUC, and a tenth of that in accuracy."""
    arm = ArmRecord.model_validate({"correct": correct, "total": 200, "accuracy": correct / 200, "auc": 0.9})

    def variant(recipe: str, auc: float | None) -> VariantRecord:
        found = None if auc is None else DifferenceRecord(difference=auc, ci95=(auc - 0.02, auc + 0.02))
        accuracy = None if auc is None else DifferenceRecord(difference=auc / 10, ci95=(-0.1, 0.1))
        test = PairedTestRecord(first=recipe, second="the plan", accuracy=accuracy, auc=found)
        return VariantRecord(
            family="resnet50",
            strategy="fedavg",
            partition="natural",
            sites=4,
            recipe=recipe,
            arms={"federated": arm},
            against_plan={"federated": test} if recipe else {},
        )

    return Summary(
        rarefed="1",
        created="",
        name="x",
        dataset=DatasetRecord(name="x", synthetic=False, images=200, classes=["a", "b"]),
        study=DesignRecord(folds=5, repeats=1, tested=200),
        arms={"federated": arm},
        variants=[variant("", None), *(variant(name, auc) for name, auc in gained.items())],
    )


SETS = {
    "one": summary({"raw": 0.03, "long": -0.01}),
    "two": summary({"raw": 0.01, "long": 0.02}),
    "three": summary({"raw": -0.02, "long": 0.01}),
}


def test_the_interval_over_sets_is_that_of_students_t() -> None:
    found = gains(SETS, "raw", "federated", "auc")
    expected = ttest_1samp([0.03, 0.01, -0.02], 0).confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean([0.03, 0.01, -0.02]))
    assert found.interval == pytest.approx((expected.low, expected.high))
    two = {name: SETS[name] for name in ("one", "two")}
    assert gains(two, "raw", "federated", "auc").interval is None


def test_each_set_gets_the_recipe_that_the_others_choose() -> None:
    # Without "one", raw loses on average and long wins; without "two" nothing gains more than raw's 0.005 on average.
    assert {one.name: one.chosen for one in leave_one_set_out(SETS, ["federated"])} == {
        "one": "long",
        "two": "raw",
        "three": "raw",
    }
    worse = {name: summary({"raw": -0.01}) for name in ("one", "two")}
    assert {one.chosen for one in leave_one_set_out(worse, ["federated"])} == {""}


def test_a_gain_that_is_unknown_on_one_set_has_no_mean() -> None:
    lacking = {**SETS, "three": summary({"raw": None, "long": 0.01})}
    assert gains(lacking, "raw", "federated", "auc").mean is None
    assert [one.chosen for one in leave_one_set_out(lacking, ["federated"])] == ["long", "", "raw"]


def test_sets_of_other_recipes_are_not_compared() -> None:
    with pytest.raises(InputError, match="not trained with the same recipes"):
        recipe_gains_tables({**SETS, "four": summary({"raw": 0.1})})


def test_the_tables_show_images_auc_and_what_the_others_choose() -> None:
    correct, area, left_out = recipe_gains_tables(SETS)
    assert [cell.text for cell in correct.rows[0].cells] == ["the plan", "160/200", "160/200", "160/200", ""]
    assert [cell.text for cell in correct.rows[1].cells[:2]] == ["raw", "+0.6"]
    assert area.rows[1].cells[1].text == "+0.030"
    assert area.rows[1].cells[-1].text == "+0.007"
    assert [row.cells[1].text for row in left_out.rows] == ["long", "raw", "raw"]
