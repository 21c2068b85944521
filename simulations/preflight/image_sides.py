"""On how large images a plan's families are trained, in words for checks."""

from collections.abc import Sequence

from common.plan.training_plan import TrainingPlan


def sides_seen(plan: TrainingPlan) -> list[int]:
    """Return the sides in pixels of what the networks of a plan see, each once, the smallest first."""
    return sorted({plan.size_for(family) for family in plan.families})


def sides_read(plan: TrainingPlan) -> list[int]:
    """Return the sides in pixels at which images are read for them: what random crops are cut from."""
    return sorted({plan.augmentation.read_side(side) for side in sides_seen(plan)})


def describe_sides(sides: Sequence[int], times: str = "x") -> str:
    """Return `224 x 224`, or `224 x 224 to 260 x 260` for several sides."""
    return " to ".join(f"{side} {times} {side}" for side in sorted({min(sides), max(sides)}))


def size_to_lower(plan: TrainingPlan) -> str:
    """Return what a check advises to lower, which data.size alone is not where each family has its own."""
    return "data.size (with study.own_size=false)" if plan.study.own_size else "data.size"
