"""The training plan: everything the coordinator fixes for a run, validated once, with a digest.

Every hyperparameter lives here and nowhere else. Flower's run config is a flat mapping of dotted keys
(`training.learning_rate = 3e-4`); `TrainingPlan.from_flat` turns it into this frozen object, and refuses what it does
not know. The defaults stand here, with their types and ranges; `[tool.flwr.app.config]` in `pyproject.toml` repeats
them, because Flower overrides only keys that exist there, and a test keeps the two equal.
"""

import difflib
import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from common.errors import InputError
from common.families import FAMILIES

Scalar = bool | int | float | str
Fraction = Annotated[float, Field(ge=0, lt=1)]
Probability = Annotated[float, Field(ge=0, le=1)]


class _Group(BaseModel):
    # Infinity and NaN are no JSON, and no sensible hyperparameter either. Defaults are validated too, so that a default
    # of 120 and a given 120.0 are one number with one digest.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


class ModelPlan(_Group):
    """The network and what of it is trained."""

    family: str = Field("efficientnet_lite0", description="architecture; see common/families.py")
    weights: str = Field("auto", description="auto | none (from scratch) | a safetensors file or a folder of them")
    freeze: str = Field(
        "early", description="none | early | all (only the head is trained) | name of the last frozen stage"
    )
    batch_norm: Literal["frozen", "train"] = Field("frozen", description="frozen: eval mode, pretrained statistics")
    dropout: Fraction = Field(0.2, description="before the last linear layer")

    @model_validator(mode="after")
    def _check_family(self) -> Self:
        if self.family not in FAMILIES:
            raise ValueError(f"model.family = {self.family!r} is unknown{_nearest(self.family, FAMILIES)}")
        policies = ("none", "early", "all", *FAMILIES[self.family].stage_names)
        if self.freeze not in policies:
            raise ValueError(
                f"model.freeze = {self.freeze!r} is unknown for {self.family}; one of {', '.join(policies)}"
            )
        return self


class DataPlan(_Group):
    """Where the images are and how they become arrays."""

    path: str = Field("", description="folder, manifest.csv or .npz; empty: the built-in synthetic phantom")
    path_column: str = "path"
    label_column: str = "label"
    patient_column: str = Field("auto", description="auto | none | column name")
    site_column: str = "site"
    patient_pattern: str = Field("auto", description="auto | none | regular expression on the file name's stem")
    positive: str = Field("auto", description="name of the class that means disease")
    classes: str = Field("", description="comma-separated, in label order (of two: healthy, diseased); empty: as found")
    size: int = Field(224, ge=32, le=1024, description="image side in pixels")
    denoise: Literal["none", "median", "bilateral", "nlm"] = "median"
    test_fraction: float = Field(0.2, gt=0, le=0.5)
    validation_fraction: float = Field(0.15, gt=0, le=0.5, description="of the patients that are not tested")
    fold: int = Field(0, ge=0, description="which of round(1/test_fraction) folds is tested")

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that all hospitals share, in label order; empty: those that the data hold."""
        return _words(self.classes)

    @model_validator(mode="after")
    def _check_classes(self) -> Self:
        if len(self.class_names) == 1:
            raise ValueError(f"data.classes = {self.classes!r}: name at least two, such as negative,positive")
        return self

    @model_validator(mode="after")
    def _check_fold(self) -> Self:
        folds = round(1 / self.test_fraction)
        if self.fold >= folds:
            raise ValueError(
                f"data.fold = {self.fold} does not exist: test_fraction {self.test_fraction} makes {folds} folds"
            )
        return self


class AugmentationPlan(_Group):
    """Random changes of training images; each strength 0 switches its transform off."""

    seed: int = Field(
        1, ge=0, lt=2**31, description="of the views; apart from training.seed, for repeats to share them"
    )
    views: int = Field(
        12, ge=0, le=1000, description="fixed augmented views an image, cycled; 0: fresh ones every pass"
    )
    test_views: int = Field(
        12, ge=0, le=1000, description="averaged with the unchanged image when patients are tested; at most views"
    )
    share: Probability = Field(
        0.5, description="of the views that crop and rotation change; the others stay as sharp as the image"
    )
    rotation: float = Field(20.0, ge=0, le=180, description="degrees, either way")
    contrast: Probability = Field(0.2, description="relative change, either way")
    brightness: Probability = Field(0.2, description="relative change, either way")
    horizontal_flip: Probability = Field(0.5, description="probability")
    vertical_flip: Probability = Field(0.0, description="probability")
    crop: Fraction = Field(0.3, description="largest share of the area that a random crop may leave out")
    hue: Annotated[float, Field(ge=0, le=90)] = Field(0.0, description="degrees of the colour circle / 2, either way")
    saturation: Probability = Field(0.0, description="relative change, either way")
    blur: Probability = Field(0.0, description="probability of a slight Gaussian blur")
    noise: Probability = Field(0.0, description="probability of slight Gaussian noise")

    @property
    def tested(self) -> int:
        """Number of augmented views that a test averages."""
        return min(self.test_views, self.views) if self.views else self.test_views


class TrainingSettings(_Group):
    """One optimisation recipe for every arm."""

    seed: int = Field(1, ge=0, lt=2**31)
    learning_rate: float = Field(3e-4, gt=0, le=1)
    schedule: Literal["cosine", "constant"] = Field("cosine", description="over the whole run, also across rounds")
    weight_decay: float = Field(0.01, ge=0, le=1)
    batch_size: int = Field(8, ge=1, le=1024)
    clip_norm: float = Field(1.0, ge=0, description="largest L2 norm of a gradient; 0: no clipping")
    label_smoothing: Fraction = Field(0.1, description="keeps a few dozen images from driving the scores to 0 and 1")
    class_weights: Literal["none", "balanced"] = "none"
    precision: Literal["auto", "float32"] = Field(
        "auto", description="auto: frozen trunk in bfloat16 where the CPU has it"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: int = Field(
        1, ge=1, le=256, description="CPU threads of one site; fixed, since sums of floats depend on it"
    )


StrategyName = Literal[
    "fedavg", "fedprox", "fedbn", "fedavgm", "fedadam", "fedyogi", "fedmedian", "fedtrimmedavg", "krum", "multikrum"
]
STRATEGIES: tuple[str, ...] = get_args(StrategyName)


class FederationPlan(_Group):
    """How hospitals and server work together."""

    strategy: StrategyName = Field("fedavg", description="how updates make the next tail; server/strategies.py")
    proximal_mu: float = Field(
        0.01, ge=0, le=100, description="fedprox: pull of a site's weights towards the global ones"
    )
    server_learning_rate: float = Field(
        0.0, ge=0, le=100, description="fedavgm, fedadam, fedyogi: step of the server; 0: the strategy's usual one"
    )
    server_momentum: float = Field(0.9, ge=0, lt=1, description="fedavgm; first moment of fedadam, fedyogi")
    server_second_moment: Fraction = Field(0.99, description="fedadam, fedyogi")
    server_adaptivity: float = Field(
        1e-3, gt=0, le=1, description="fedadam, fedyogi: added to the second moment's root"
    )
    trim: float = Field(0.2, ge=0, lt=0.5, description="fedtrimmedavg: share left out at either end")
    malicious_sites: int = Field(0, ge=0, le=1000, description="krum, multikrum: how many hostile sites to withstand")
    rounds: int = Field(12, ge=1, le=10_000)
    local_epochs: int = Field(2, ge=1, le=1000)
    select: Literal["best", "last"] = Field("best", description="which round's model is kept, by validation loss")
    min_sites: int = Field(1, ge=1, description="a round with fewer usable replies is repeated")
    round_attempts: int = Field(3, ge=1, le=100, description="with too few usable replies each, and the run pauses")
    retry_seconds: float = Field(30, ge=0, le=86_400, description="between two attempts")
    largest_norm: float = Field(
        10, ge=0, description="of an update, in multiples of the usual one; a larger one is left out; 0: no limit"
    )
    quarantine_after: int = Field(
        3, ge=0, description="rounds in a row without a usable reply; the site is then not asked for a while; 0: never"
    )
    quarantine_rounds: int = Field(3, ge=1, le=1000, description="how long that is")
    wait_seconds: float = Field(120, gt=0, description="for enough hospitals to be online")
    round_seconds: float = Field(3600, gt=0, description="for the replies of one round")
    keep_checkpoints: int = Field(2, ge=1, le=10_000, description="of the last rounds, beside the best one's")


class ExchangePlan(_Group):
    """The form of what travels."""

    score_bins: int = Field(50, ge=2, le=1000, description="resolution of the score histograms; never a score itself")


class PrivacyPlan(_Group):
    """What limits how much an update can say about one hospital."""

    update_clip_norm: float = Field(0.0, ge=0, description="largest L2 norm of a site's update; 0: no limit")


PartitionName = Literal["auto", "natural", "iid", "dirichlet", "quantity-skew"]
PARTITIONS: tuple[str, ...] = get_args(PartitionName)
ARMS = ("federated", "centralized", "local", "scratch", "probe")
HostileName = Literal["scaled", "flipped"]
FAULTS: tuple[str, ...] = ("none", "dropout", *get_args(HostileName))


class StudyPlan(_Group):
    """The simulation around the federation: hospitals out of one data set, the arms to compare, and how often."""

    name: str = Field(
        "", max_length=60, pattern=r"^[A-Za-z0-9._-]*$", description="run folder's name; empty: the data set's"
    )
    output: str = Field("", description="folder of the run folders; empty: runs")
    seed: int = Field(1, ge=0, lt=2**31, description="of the partition; not training.seed: repeats share it")
    partition: PartitionName = Field(
        "auto", description="auto: natural where the data name their sites and study.sites is 0, else dirichlet"
    )
    sites: int = Field(0, ge=0, le=1000, description="number of hospitals; 0: as the data say, else 4")
    alpha: float = Field(1.0, gt=0, le=1000, description="dirichlet and quantity-skew: the smaller, the more unequal")
    arms: str = Field("federated,centralized,local,probe", description=f"comma-separated, of {', '.join(ARMS)}")
    centralized_epochs: int = Field(24, ge=1, le=10_000, description="also of a hospital that trains alone")
    centralized_batch_size: int = Field(16, ge=1, le=1024)
    folds: int = Field(0, ge=0, le=100, description="cross-validation: every image tested once a repeat; 0: one split")
    repeats: int = Field(1, ge=1, le=1000, description="of the cross-validation, with seeds training.seed, +1, +2 ...")
    models: str = Field("", description="comma-separated families to compare; empty: model.family")
    strategies: str = Field("", description="comma-separated strategies to compare; empty: federation.strategy")
    partitions: str = Field("", description="comma-separated partitions to compare; empty: study.partition")
    site_counts: str = Field("", description="comma-separated numbers of hospitals to compare; empty: study.sites")
    dropout: Fraction = Field(0.0, description="probability that a site's reply to a training round is lost")
    hostile_sites: int = Field(0, ge=0, le=1000, description="how many sites, the last by number, are hostile")
    hostile: HostileName = Field("scaled", description="what they send; scaled: updates times 100, flipped: times -1")
    faults: str = Field(
        "",
        description=f"comma-separated, of {', '.join(FAULTS)}, to compare; empty: as the keys above say",
    )
    missing_weights: Literal["report", "scratch"] = Field(
        "report", description="a family of study.models without weights: only say so, or train it from scratch"
    )

    @model_validator(mode="after")
    def _check_lists(self) -> Self:
        lists = {"arms": ARMS, "models": tuple(FAMILIES), "strategies": STRATEGIES, "partitions": PARTITIONS}
        for key, known in {**lists, "faults": FAULTS}.items():
            for word in _words(getattr(self, key)):
                if word not in known:
                    raise ValueError(f"study.{key} names {word!r}{_nearest(word, known)}")
        for word in _words(self.site_counts):
            if not word.isdecimal() or not 0 < int(word) <= 1000:
                raise ValueError(f"study.site_counts names {word!r}: expected numbers of hospitals, such as 2,4,8")
        if not self.arm_names:
            raise ValueError(f"study.arms is empty; name some of {', '.join(ARMS)}")
        if self.folds == 1:
            raise ValueError("study.folds = 1: nothing would be left to train on; take 2 or more, or 0 for one split")
        return self

    @model_validator(mode="after")
    def _check_faults(self) -> Self:
        words = _words(self.faults)
        if "dropout" in words and not self.dropout:
            raise ValueError("study.faults names dropout: say how likely it is in study.dropout, such as 0.3")
        if not self.hostile_sites and (named := next((word for word in words if word in get_args(HostileName)), "")):
            raise ValueError(f"study.faults names {named}: say how many sites are hostile in study.hostile_sites")
        if "federated" not in self.arm_names and (words or self.dropout or self.hostile_sites):
            raise ValueError("study.dropout and study.hostile_sites act on the federated arm: name it in study.arms")
        return self

    @property
    def arm_names(self) -> tuple[str, ...]:
        """The arms to run, in the order given."""
        return _words(self.arms)

    def swept(self, key: Literal["models", "strategies", "partitions", "site_counts", "faults"]) -> tuple[str, ...]:
        """Return what a sweep's list names, in the order given; empty where nothing is swept."""
        return _words(getattr(self, key))


def _words(text: str) -> tuple[str, ...]:
    """Split a comma-separated list, without repetitions."""
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


class TrainingPlan(_Group):
    """Everything that is fixed for one run.

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
        family = FAMILIES[self.model.family]
        if self.data.size < family.least_size:
            raise ValueError(
                f"data.size = {self.data.size} is too small for {family.name}: at least {family.least_size}"
            )
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
        for name in self.study.swept("models") or (self.model.family,):
            if not FAMILIES[name].normalised:
                raise ValueError(f"fedbn needs normalisation layers, and {name} has none: take another strategy")
        if self.model.freeze in ("all", FAMILIES[self.model.family].stage_names[-1]):
            raise ValueError(
                f"model.freeze = {self.model.freeze!r} leaves fedbn no normalisation layer to train: freeze less"
            )
        return self

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
                raise InputError(f"unknown plan key {key!r}{_nearest(key, known)}")
            # bool is an int to Python, and pydantic would take True for 1 round.
            if isinstance(value, bool) and not isinstance(known[key], bool):
                raise InputError(f"plan key {key} = {value}: expected {type(known[key]).__name__}")
            group, name = key.split(".")
            nested.setdefault(group, {})[name] = value
        return cls._validated(nested)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild a plan from `to_json`; raises `InputError` as `from_flat` does."""
        try:
            nested = json.loads(text)
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
            raise InputError(f"plan key {where} = {first['input']!r}: {first['msg']}") from error

    def flat(self) -> dict[str, Scalar]:
        """Return the plan as dotted keys, in the order of the groups."""
        nested: dict[str, dict[str, Scalar]] = self.model_dump()
        return {f"{group}.{key}": value for group, values in nested.items() for key, value in values.items()}

    def changed(self, changes: Mapping[str, Scalar]) -> Self:
        """Return a checked copy in which the given dotted keys have new values."""
        return self.from_flat({**self.flat(), **changes})

    def to_json(self) -> str:
        """Return the canonical JSON text: sorted keys, no blanks; what `digest` is computed from."""
        return json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def _nearest(word: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    # Someone who forgot or mistook the group's name means the key that ends in the word.
    same_ending = [key for key in known if key.rpartition(".")[2] == word.rpartition(".")[2]]
    return f"; did you mean {(same_ending or difflib.get_close_matches(word, list(known), n=1, cutoff=0))[0]!r}?"
