"""The recipes of a study against its plan, arm by arm, on the same images."""

from collections.abc import Mapping

from common.statistics.bootstrap import Bootstrap
from common.summary.comparison import PairedTestRecord
from simulations.analysis.arm_comparison import compare_predictions
from simulations.analysis.predictions import Predictions
from simulations.study.variants import Variant


def against_plan(
    predictions: Mapping[Variant, Mapping[str, Predictions]],
) -> dict[Variant, dict[str, PairedTestRecord]]:
    """Test every variant with a recipe against the same variant by the study's plan.

    Parameters
    ----------
    predictions : mapping of Variant to mapping of str to Predictions
        By arm.

    Returns
    -------
    dict of Variant to dict of str to PairedTestRecord
        By arm: the recipe minus the plan; empty for a variant without a recipe.
    """
    plans = {variant.name: by_arm for variant, by_arm in predictions.items() if not variant.recipe}
    bootstraps = {name: Bootstrap.draw(next(iter(by_arm.values())).patients) for name, by_arm in plans.items()}
    return {
        variant: {
            arm: compare_predictions(
                own, plans[variant.baseline][arm], bootstraps[variant.baseline], (variant.recipe, "the plan")
            )
            for arm, own in (by_arm.items() if variant.recipe else ())
        }
        for variant, by_arm in predictions.items()
    }
