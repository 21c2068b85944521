import hashlib
import io
import zipfile
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from client.rules.policy import (
    Refusal,
    check_app,
    check_hours,
    check_images,
    check_plan,
    check_rounds_today,
    check_size,
)
from common.plan.training_plan import TrainingPlan
from common.protocol.refusals import Rule
from tests.client.hospital import rules


def bundle(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("pyproject.toml", ".info/CONTENT", *names):
            archive.writestr(name, "x")
    return stream.getvalue()


def refused(check: Callable[[], Any]) -> Rule | None:
    try:
        check()
    except Refusal as refusal:
        return refusal.rule
    return None


def test_an_approved_app_without_code_passes() -> None:
    content = bundle()
    digest = hashlib.sha256(content).hexdigest()
    check_app(rules(apps=[digest]), content)


@pytest.mark.parametrize(
    "name", ["evil.py", "client/app.py", "a.md", "b.yaml", "x/../pyproject.toml", "sitecustomize.pth"]
)
def test_an_app_with_any_other_file_is_refused_even_if_approved(name: str) -> None:
    content = bundle(name)
    approved = rules(apps=[hashlib.sha256(content).hexdigest()])
    assert refused(lambda: check_app(approved, content)) == Rule.APP_CODE


@pytest.mark.parametrize("content", [bundle(), b"", b"no zip"])
def test_an_app_that_was_not_approved_is_refused(content: bytes) -> None:
    assert refused(lambda: check_app(rules(), content)) == Rule.APPS


@pytest.mark.parametrize(
    ("changes", "limits", "rule"),
    [
        ({}, {}, None),
        ({"model.family": "resnet50"}, {}, Rule.FAMILIES),
        ({"federation.local_epochs": 11}, {}, Rule.LOCAL_EPOCHS),
        ({"federation.rounds": 101}, {}, Rule.ROUNDS),
        ({}, {"require": {"update_clip_norm": 2}}, Rule.CLIP_NORM),
        ({"privacy.update_clip_norm": 3.0}, {"require": {"update_clip_norm": 2}}, Rule.CLIP_NORM),
        ({"privacy.update_clip_norm": 2.0}, {"require": {"update_clip_norm": 2}}, None),
    ],
)
def test_a_plan_is_refused_by_the_rule_it_breaks(
    changes: dict[str, Any], limits: dict[str, Any], rule: Rule | None
) -> None:
    assert refused(lambda: check_plan(rules(**limits), TrainingPlan.from_flat(changes))) == rule


@pytest.mark.parametrize(
    ("hours", "clock", "allowed"),
    [
        ((), "12:00", True),
        (("20:00-06:00",), "23:59", True),
        (("20:00-06:00",), "05:59", True),
        (("20:00-06:00",), "06:00", False),
        (("20:00-06:00",), "12:00", False),
        (("08:00-10:00", "12:00-13:00"), "12:30", True),
        (("08:00-10:00", "12:00-13:00"), "11:00", False),
        (("00:00-24:00",), "23:59", True),
    ],
)
def test_hours(hours: tuple[str, ...], clock: str, allowed: bool) -> None:
    now = datetime.fromisoformat(f"2026-11-24T{clock}:30")
    assert refused(lambda: check_hours(rules(hours=hours), now)) == (None if allowed else Rule.HOURS)


def test_numbers_are_refused_from_their_limit_on() -> None:
    assert refused(lambda: check_rounds_today(rules(rounds_per_day=3), 2)) is None
    assert refused(lambda: check_rounds_today(rules(rounds_per_day=3), 3)) == Rule.ROUNDS_PER_DAY
    assert refused(lambda: check_images(rules(), 5)) is None
    assert refused(lambda: check_images(rules(), 4)) == Rule.LEAST_IMAGES
    assert refused(lambda: check_size(rules(megabytes_per_round=1), 1_000_000)) is None
    assert refused(lambda: check_size(rules(megabytes_per_round=1), 1_000_001)) == Rule.MEGABYTES_PER_ROUND
