"""The training plan: everything that the coordinator fixes for a run, validated, with a digest.

All hyperparameters are here. Flower's run config is a flat mapping of dotted keys (`training.learning_rate = 3e-4`);
`TrainingPlan.from_flat` turns it into this frozen object, and refuses unknown keys. Types, ranges and defaults are
defined in `groups.py` and `study.py`; `[tool.flwr.app.config]` in `pyproject.toml` repeats the defaults, because Flower
overrides only keys that exist there, and a test keeps the two equal.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import ValidationError, model_validator

from common.errors import InputError
from common.plan.families import FAMILIES
from common.plan.groups import (
    AugmentationPlan,
    DataPlan,
    ExchangePlan,
    FederationPlan,
    ModelPlan,
    PlanGroup,
    PrivacyPlan,
    Scalar,
    TrainingSettings,
    nearest,
)
from common.plan.study import StudyPlan
from common.system.foreign_json import parse_json
from common.system.validation_words import explain_value, shown_value

_CONTROL_CHARACTER = r"it holds a control character, as a backslash in double quotes makes; use single quotes, 'C:\new'"


class TrainingPlan(PlanGroup):
    """All settings of one run.

    Examples
    --------
    >>> plan = TrainingPlan.from_flat({"federation.rounds": 3})
    >>> plan.federation.rounds
    3
    """

    model: ModelPlan = ModelPlan()
    data: DataPlan = DataPlan()
    augmentation: AugmentationPlan = AugmentationPlan()
    training: TrainingSettings = TrainingSettings()
    federation: FederationPlan = FederationPlan()
    exchange: ExchangePlan = ExchangePlan()
    privacy: PrivacyPlan = PrivacyPlan()
    study: StudyPlan = StudyPlan()

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        # Not `size_for`: in a federation of real hospitals study.* does nothing, and data.size is what they train on.
        family = FAMILIES[self.model.family]
        if self.data.size < family.least_size:
            raise ValueError(
                f"data.size = {self.data.size} is too small for {family.name}: at least {family.least_size}"
            )
        return self

    @model_validator(mode="after")
    def _check_split(self) -> Self:
        if self.data.split == "official" and self.study.folds:
            raise ValueError(
                f"data.split = 'official' tests the one part that the data name, so study.folds = {self.study.folds} "
                "does not apply: take `rarefed-sim run`, or study.folds = 0"
            )
        return self

    @model_validator(mode="after")
    def _check_batches_of_batch_norm(self) -> Self:
        sizes = {
            "training.batch_size": self.training.batch_size,
            "study.centralized_batch_size": self.study.centralized_batch_size,
        }
        for key, size in sizes.items():
            if self.model.batch_norm == "train" and size == 1:
                raise ValueError(f"{key} = 1, and model.batch_norm = 'train' needs batches of at least two images")
        return self

    @model_validator(mode="after")
    def _check_layers_of_fedbn(self) -> Self:
        if "fedbn" not in (self.federation.strategy, *self.study.swept("strategies")):
            return self
        if self.model.batch_norm == "frozen":
            raise ValueError(
                "fedbn leaves the normalisation layers that it trains in the hospitals, and with model.batch_norm = "
                "'frozen' it trains none: set model.batch_norm = 'train', or take another strategy"
            )
        for name in self.families:
            if not FAMILIES[name].normalised:
                raise ValueError(f"fedbn needs normalisation layers, and {name} has none: take another strategy")
        if self.model.freeze in ("all", FAMILIES[self.model.family].stage_names[-1]):
            raise ValueError(
                f"model.freeze = {self.model.freeze!r} leaves fedbn no normalisation layer to train: freeze less"
            )
        return self

    @property
    def read_side(self) -> int:
        """Side in pixels that images are read at: what the network sees, or more where crops are cut from more."""
        return self.augmentation.read_side(self.data.size)

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the families that a study trains, in the order given: those of study.models, or model.family."""
        return self.study.swept("models") or (self.model.family,)

    def size_for(self, family: str) -> int:
        """Return the side in pixels of what a network of a family sees in a study: data.size, or the family's own."""
        return FAMILIES[family].own_size if self.study.own_size else self.data.size

    @classmethod
    def from_flat(cls, flat: Mapping[str, Scalar]) -> Self:
        """Build a plan from dotted keys; keys that are left out keep their defaults.

        Parameters
        ----------
        flat : mapping of str to bool, int, float or str
            Such as Flower's run config: `{"training.seed": 2}`.

        Returns
        -------
        TrainingPlan

        Raises
        ------
        InputError
            For an unknown key (the nearest known one is named), a value of the wrong type or out of range.
        """
        known = cls().flat()
        nested: dict[str, dict[str, Scalar]] = {}
        for key, value in flat.items():
            if key not in known:
                raise InputError(f"unknown plan key {key!r}{nearest(key, known)}")
            # In Python a bool is an int, so that pydantic would accept True as one round.
            if isinstance(value, bool) and not isinstance(known[key], bool):
                raise InputError(f"plan key {key} = {value}: {_expected_instead(value, known[key])}")
            # A real path or name has no control characters; "C:\\new" in TOML gets one from its \\n.
            if isinstance(value, str) and any(ord(sign) < ord(" ") for sign in value):
                raise InputError(f"plan key {key} = {value!r}: {_CONTROL_CHARACTER}")
            if isinstance(value, str) and not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
                raise InputError(f"plan key {key} = {value!a}: it is no UTF-8 text; rename the file or folder")
            group, name = key.split(".")
            nested.setdefault(group, {})[name] = value
        return cls._validated(nested)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild a plan from `to_json`; raises `InputError` as `from_flat` does."""
        try:
            nested = parse_json(text)
        except ValueError as error:
            raise InputError(f"the plan is no JSON: {error}") from error
        return cls._validated(nested)

    @classmethod
    def _validated(cls, nested: Mapping[str, Any]) -> Self:
        try:
            return cls.model_validate(nested)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            if first["type"] == "value_error":
                raise InputError(str(first["ctx"]["error"])) from error
            raise InputError(f"plan key {where} = {shown_value(first['input'])}: {explain_value(first)}") from error

    def flat(self) -> dict[str, Scalar]:
        """Return the plan as dotted keys, in the order of the groups."""
        nested: dict[str, dict[str, Scalar]] = self.model_dump()
        return {f"{group}.{key}": value for group, values in nested.items() for key, value in values.items()}

    def changed(self, changes: Mapping[str, Scalar]) -> Self:
        """Return a checked copy in which the given dotted keys have new values."""
        return self.from_flat({**self.flat(), **changes})

    def to_json(self) -> str:
        """Return the canonical JSON text, from which `digest` is computed: sorted keys, no blanks."""
        return json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def _expected_instead(value: bool, default: Scalar) -> str:
    if isinstance(default, str):
        return f'a text is expected; put it into quotes: "{str(value).lower()}"'
    return "a number is expected"
