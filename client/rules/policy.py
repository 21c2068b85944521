"""Checks what is asked against this hospital's rules, none of which the coordinator can change."""

import hashlib
import io
import zipfile
from datetime import datetime

from client.rules.hospital_file import BoundsSection, RulesSection
from common.plan.families import FAMILIES
from common.plan.training_plan import TrainingPlan
from common.protocol.message_size import SizeBound
from common.protocol.refusals import Failure, Rule

# A Flower bundle's own list of contents; every other file could be code, or be read as such.
_CODE_FREE = frozenset({"pyproject.toml", ".info/CONTENT"})

LEAST_MESSAGE = SizeBound.of(100 * 10**6)
"""How large a message may be at least: a hospital may test large models, and send no update of one."""

_LARGEST_MEGABYTES = 1e6


class Refusal(Exception):  # noqa: N818 - a decision, not an error
    """A rule of this hospital says no."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule.value)
        self.rule = rule


class HospitalFailure(Exception):  # noqa: N818 - what happened
    """Something went wrong in this hospital: the kind may leave, the details stay in its log."""

    def __init__(self, kind: Failure, details: str) -> None:
        super().__init__(details)
        self.kind = kind


def check_app(rules: RulesSection, bundle: bytes) -> None:
    """Refuse a Flower app that carries code or was not approved; nothing of it is unpacked to disk or run.

    Parameters
    ----------
    rules : RulesSection
        Of this hospital.
    bundle : bytes
        The zip as it came from the server.

    Raises
    ------
    Refusal
    """
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            names = archive.namelist()
    except Exception:  # noqa: BLE001 - BadZipFile, and whatever else a crafted one brings a reader to
        raise Refusal(Rule.APPS) from None
    if set(names) - _CODE_FREE:
        raise Refusal(Rule.APP_CODE)
    if hashlib.sha256(bundle).hexdigest() not in rules.apps:
        raise Refusal(Rule.APPS)


def check_plan(rules: RulesSection, plan: TrainingPlan) -> None:
    """Refuse a plan that asks for more than the rules allow, or protects less than they require."""
    if plan.model.family not in rules.families:
        raise Refusal(Rule.FAMILIES)
    if plan.federation.local_epochs > rules.local_epochs:
        raise Refusal(Rule.LOCAL_EPOCHS)
    if plan.federation.rounds > rules.rounds:
        raise Refusal(Rule.ROUNDS)
    required = rules.require.update_clip_norm
    if required and not 0 < plan.privacy.update_clip_norm <= required:
        raise Refusal(Rule.CLIP_NORM)
    _check_bounds(rules.bounds, plan)


def _check_bounds(bounds: BoundsSection, plan: TrainingPlan) -> None:
    family = FAMILIES[plan.model.family]
    exceeded = {
        Rule.SMALLEST_SIZE: plan.data.size < bounds.smallest_size,
        Rule.LARGEST_SIDE: max(plan.data.size, plan.read_side) > bounds.largest_side,
        Rule.VIEWS: max(plan.augmentation.views, plan.augmentation.tested) > bounds.views,
        Rule.FREEZE: family.frozen_stages(plan.model.freeze) < family.frozen_stages(bounds.freeze),
        Rule.LEARNING_RATE: plan.training.learning_rate > bounds.learning_rate,
    }
    for rule, too_much in exceeded.items():
        if too_much:
            raise Refusal(rule)


def check_classes(rules: RulesSection, classes: tuple[str, ...], found: frozenset[str]) -> None:
    """Refuse a plan that names a class that this hospital does not know.

    Parameters
    ----------
    rules : RulesSection
        Of this hospital.
    classes : tuple of str
        All classes of the federation.
    found : frozenset of str
        Those that this hospital's images have.
    """
    if set(classes) - (set(rules.classes) or found):
        raise Refusal(Rule.CLASSES)


def check_hours(rules: RulesSection, now: datetime) -> None:
    """Refuse work outside the hours in which this hospital allows it; `now` is local time."""
    if not rules.allows_at(now):
        raise Refusal(Rule.HOURS)


def check_rounds_today(rules: RulesSection, done: int) -> None:
    """Refuse one more training or test if `done` of the last 24 hours are as many as allowed."""
    if done >= rules.rounds_per_day:
        raise Refusal(Rule.ROUNDS_PER_DAY)


def check_patients(rules: RulesSection, train_patients: int) -> None:
    """Refuse to train on too few patients, however many images each has."""
    if train_patients < rules.least_patients:
        raise Refusal(Rule.LEAST_PATIENTS)


def check_images(rules: RulesSection, train_images: int) -> None:
    """Refuse to train on too few images: an update of a handful of patients says too much about each."""
    if train_images < rules.least_images:
        raise Refusal(Rule.LEAST_IMAGES)


def message_bound(rules: RulesSection) -> SizeBound:
    """Return how large a message of the server may be: it brings a tail as large as the update that answers it."""
    allowed = SizeBound.of(int(min(rules.megabytes_per_round, _LARGEST_MEGABYTES) * 1e6))
    return max(allowed, LEAST_MESSAGE)


def check_size(rules: RulesSection, size: int) -> None:
    """Refuse to send a reply of `size` bytes when that is more than a round may take."""
    if size > rules.megabytes_per_round * 1e6:
        raise Refusal(Rule.MEGABYTES_PER_ROUND)
