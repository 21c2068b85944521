"""What recipes gain over the plan they change, over several sets of images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from common.errors import InputError
from common.summary.comparison import DifferenceRecord
from common.summary.summary import Summary

Gain = DifferenceRecord
"""How much more of a metric a recipe reached than the plan."""


@dataclass(frozen=True)
class RecipeGains:
    """What one recipe gained over the plan in one arm and one metric.

    Attributes
    ----------
    by_set : dict of str to (Gain or None)
        On each set, with an interval over its patients; None where the metric is undefined.
    """

    by_set: Mapping[str, Gain | None]

    @property
    def mean(self) -> float | None:
        """Over the sets, each counting the same; None where a set lacks its gain."""
        values = self._values
        return float(np.mean(values)) if values else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 %, from the spread over sets (Student's t): what other such sets may bring; None for fewer than three."""
        values = self._values
        if values is None or len(values) < 3:
            return None
        half = float(student_t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1)) / math.sqrt(len(values))
        return float(np.mean(values)) - half, float(np.mean(values)) + half

    @property
    def _values(self) -> list[float] | None:
        if any(gain is None for gain in self.by_set.values()):
            return None
        return [gain.difference for gain in self.by_set.values() if gain is not None]


@dataclass(frozen=True)
class LeftOutSet:
    """One set, and the recipe that the others chose.

    Attributes
    ----------
    name : str
        The set.
    chosen : str
        The recipe with the largest mean gain of AUC on the other sets; "" for the plan, where none gained.
    """

    name: str
    chosen: str


def recipes_of(summaries: Mapping[str, Summary]) -> list[str]:
    """Return the names of the recipes, which are the same on all sets.

    Raises
    ------
    InputError
        If they are not.
    """
    names = [[one.recipe for one in summary.variants if one.recipe] for summary in summaries.values()]
    if not names[0] or any(each != names[0] for each in names):
        raise InputError("the sets were not trained with the same recipes; run the comparison again")
    return names[0]


def gains(summaries: Mapping[str, Summary], recipe: str, arm: str, metric: str) -> RecipeGains:
    """Return what a recipe gained on each set; `metric` is "accuracy" or "auc"."""
    found: dict[str, Gain | None] = {}
    for name, summary in summaries.items():
        variant = next(one for one in summary.variants if one.recipe == recipe)
        test = variant.against_plan.get(arm)
        found[name] = getattr(test, metric) if test else None
    return RecipeGains(found)


def leave_one_set_out(summaries: Mapping[str, Summary], arms: Sequence[str]) -> list[LeftOutSet]:
    """Let all sets but one choose a recipe, for each set; the choice is by the mean gain of AUC over sets and arms.

    AUC rather than correct images, of which one more or less is chance.
    """
    by_recipe = {
        recipe: [gains(summaries, recipe, arm, "auc").by_set for arm in arms] for recipe in recipes_of(summaries)
    }
    return [LeftOutSet(name, _best(by_recipe, [other for other in summaries if other != name])) for name in summaries]


def _best(by_recipe: Mapping[str, Sequence[Mapping[str, Gain | None]]], sets: Sequence[str]) -> str:
    means = {"": 0.0}
    for recipe, by_arm in by_recipe.items():
        found = [by_set[name] for by_set in by_arm for name in sets]
        means[recipe] = float(np.mean([gain.difference if gain else math.nan for gain in found])) if found else math.nan
    # The plan wins ties; a recipe without an AUC cannot be chosen.
    return max(means, key=lambda recipe: -math.inf if math.isnan(means[recipe]) else means[recipe])
