"""What every arm must have: a contract that a new entry of the registry is held to."""

from dataclasses import fields

import matplotlib.markers
import pytest
from matplotlib.colors import is_color_like
from matplotlib.lines import Line2D

from common.plan import study
from simulations.report.plots.palette import CODES, DARK, LIGHT, PRINT
from simulations.study.arms import ARMS, COMPARISONS, FEDERATED, GAP_ARMS, Arm
from simulations.study.pooled_and_local import TRAININGS

MAY_BE_EMPTY = {"patients", "site_heading", "tested_against", "bounds_gap", "epochs", "plan_changes"}


@pytest.mark.parametrize("arm", ARMS.values(), ids=list(ARMS))
def test_every_arm_is_named_drawn_and_compared(arm: Arm) -> None:
    for field in fields(arm):
        assert getattr(arm, field.name) or field.name in MAY_BE_EMPTY | {"judged_everywhere_as"}, field.name
    assert all(is_color_like(colour) for colour in (arm.light, arm.dark))
    assert arm.marker in matplotlib.markers.MarkerStyle.markers
    Line2D([], [], linestyle=arm.dash)
    assert set(arm.tested_against) <= ARMS.keys() - {arm.key}
    assert arm.key == FEDERATED or (FEDERATED, arm.key) in COMPARISONS
    assert LIGHT[arm.key] == PRINT[arm.key] == arm.light
    assert DARK[arm.key] == arm.dark


@pytest.mark.parametrize("name", ["key", "full_title", "short_title", "in_sentence", "headline_subject"])
def test_no_two_arms_are_called_alike(name: str) -> None:
    assert len({getattr(arm, name) for arm in ARMS.values()}) == len(ARMS)


@pytest.mark.parametrize("name", ["light", "dark", "dash", "marker"])
def test_no_two_arms_look_alike(name: str) -> None:
    assert len({str(getattr(arm, name)) for arm in ARMS.values()}) == len(ARMS)


def test_the_plan_knows_the_arms_that_are_trained_and_each_has_its_training() -> None:
    trained = {key for key, arm in ARMS.items() if arm.epochs is not None}
    assert trained == set(study.ARMS)
    assert trained == TRAININGS.keys() | {FEDERATED}


def test_an_arm_without_trainings_tests_the_models_of_another() -> None:
    judged = {arm.judged_everywhere_as for arm in ARMS.values()} - {""}
    assert judged == {key for key, arm in ARMS.items() if arm.epochs is None}
    assert GAP_ARMS == ("centralized", "federated", "local-all")


def test_no_code_that_stands_for_a_colour_is_one() -> None:
    assert len(set(CODES.values())) == len(LIGHT)
    assert not set(CODES.values()) & {colour for palette in (LIGHT, DARK, PRINT) for colour in palette.values()}
