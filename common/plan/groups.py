"""The groups of a plan's keys, with their types, ranges and defaults; `study.py` has the simulation's."""

import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.plan.families import FAMILIES
from common.plan.selection import SelectionName
from common.system.validation_words import did_you_mean

Scalar = bool | int | float | str

Fraction = Annotated[float, Field(ge=0, lt=1)]

Probability = Annotated[float, Field(ge=0, le=1)]


class PlanGroup(BaseModel):
    """A frozen group of keys: no unknown key, no infinity, no NaN."""

    # JSON has no infinity and no NaN, and no hyperparameter needs them. Defaults are validated too, so that a default
    # of 120 and a given 120.0 are one number with one digest.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


class ModelPlan(PlanGroup):
    """The network, and which part of it is trained."""

    family: str = Field("efficientnet_lite0", description="architecture; see common/plan/families.py")
    weights: str = Field("auto", description="auto | none (from scratch) | a safetensors file or a folder of them")
    freeze: str = Field(
        "early", description="none | early | all (only the head is trained) | name of the last frozen stage"
    )
    batch_norm: Literal["frozen", "train"] = Field("frozen", description="frozen: eval mode, pretrained statistics")
    dropout: Fraction = Field(0.2, description="before the last linear layer")

    @model_validator(mode="after")
    def _check_family(self) -> Self:
        if self.family not in FAMILIES:
            raise ValueError(f"model.family = {self.family!r} is unknown{nearest(self.family, FAMILIES)}")
        policies = ("none", "early", "all", *FAMILIES[self.family].stage_names)
        if self.freeze not in policies:
            raise ValueError(
                f"model.freeze = {self.freeze!r} is unknown for {self.family}; one of {', '.join(policies)}"
            )
        return self


class DataPlan(PlanGroup):
    """Where the images are, and how they are read and split."""

    path: str = Field("", description="folder, manifest.csv or .npz; empty: the built-in synthetic phantom")
    path_column: str = "path"
    label_column: str = "label"
    patient_column: str = Field("auto", description="auto | none | column name")
    site_column: str = "site"
    split_column: str = "split"
    patient_pattern: str = Field("auto", description="auto | none | regular expression on the file name's stem")
    positive: str = Field("auto", description="name of the class that means disease")
    classes: str = Field("", description="comma-separated, in label order (of two: healthy, diseased); empty: as found")
    size: int = Field(224, ge=32, le=1024, description="image side in pixels")
    denoise: Literal["auto", "none", "median", "bilateral", "nlm"] = Field(
        "auto", description="noise filter, at the side that images are read at; auto: median for grey images only"
    )
    split: Literal["own", "official"] = Field(
        "own", description="own: drawn as the keys below say; official: the one that the data bring"
    )
    test_fraction: float = Field(0.2, ge=0.001, le=0.5)
    validation_fraction: float = Field(
        0.0, ge=0, le=0.5, description="of the patients that are not tested; 0: none, and all of them are trained on"
    )
    fold: int = Field(0, ge=0, description="which of round(1/test_fraction) folds is tested")

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes that all hospitals share, in label order; empty: those that the data hold."""
        # However the accents of a plan or a folder are coded, one name is one class.
        return words_of(unicodedata.normalize("NFC", self.classes))

    @model_validator(mode="after")
    def _check_classes(self) -> Self:
        if self.classes.startswith("["):
            raise ValueError(f"data.classes = {self.classes!r}: write the names without brackets, negative,positive")
        if len(self.class_names) == 1:
            raise ValueError(f"data.classes = {self.classes!r}: name at least two, such as negative,positive")
        return self

    @model_validator(mode="after")
    def _check_fold(self) -> Self:
        folds = fold_count(self.test_fraction)
        if self.fold >= folds:
            raise ValueError(
                f"data.fold = {self.fold} does not exist: test_fraction {self.test_fraction} makes {folds} folds"
            )
        if self.fold and self.split == "official":
            raise ValueError(f"data.fold = {self.fold}: data.split = 'official' has no folds; leave one of the two out")
        return self


class AugmentationPlan(PlanGroup):
    """Random changes of training images; each strength 0 switches its transform off."""

    seed: int = Field(
        1, ge=0, lt=2**31, description="of the views; apart from training.seed, for repeats to share them"
    )
    views: int = Field(
        12, ge=0, le=1000, description="fixed augmented views per image, cycled; 0: fresh ones every epoch"
    )
    test_views: int = Field(
        12, ge=0, le=1000, description="averaged with the unchanged image when patients are tested; at most views"
    )
    share: Probability = Field(
        1.0, description="of the views that crop and rotation change; the others stay as sharp as the image"
    )
    rotation: float = Field(25.0, ge=0, le=180, description="degrees, either way")
    contrast: Probability = Field(0.2, description="relative change, either way")
    brightness: Probability = Field(0.2, description="relative change, either way")
    horizontal_flip: Probability = Field(0.5, description="probability")
    vertical_flip: Probability = Field(0.5, description="probability")
    crop: Fraction = Field(0.4, description="largest share of the area that a random crop may leave out")
    read_scale: float = Field(
        1.143, ge=1, le=8, description="side that images are read at and random crops are cut from, in data.size"
    )
    hue: Annotated[float, Field(ge=0, le=90)] = Field(5.0, description="degrees of the colour circle / 2, either way")
    saturation: Probability = Field(0.15, description="relative change, either way")
    blur: Probability = Field(0.0, description="probability of a slight Gaussian blur")
    noise: Probability = Field(0.0, description="probability of slight Gaussian noise")

    def read_side(self, size: int) -> int:
        """Return the side in pixels that images are read at, where the network sees `size`."""
        return round(size * self.read_scale)

    @property
    def tested(self) -> int:
        """Number of augmented views that a test averages."""
        return min(self.test_views, self.views) if self.views else self.test_views


class TrainingSettings(PlanGroup):
    """One optimisation recipe for every arm."""

    seed: int = Field(1, ge=0, lt=2**31)
    learning_rate: float = Field(3e-4, gt=0, le=1)
    schedule: Literal["cosine", "constant"] = Field("cosine", description="over the whole run, also across rounds")
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="factor on the learning rate per stage before the head; 1: the same rate everywhere",
    )
    head_epochs: int = Field(0, ge=0, le=10_000, description="first epochs in which only the head is trained")
    weight_decay: float = Field(0.01, ge=0, le=1)
    batch_size: int = Field(8, ge=1, le=1024)
    clip_norm: float = Field(5.0, ge=0, description="largest L2 norm of a gradient; 0: no clipping")
    label_smoothing: Fraction = Field(0.1, description="keeps a few dozen images from driving the scores to 0 and 1")
    mixup: float = Field(
        0.0, ge=0, le=10, description="alpha of the beta distribution that mixes pairs of images by; 0: no mixing"
    )
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


class FederationPlan(PlanGroup):
    """How hospitals and server work together."""

    strategy: StrategyName = Field("fedavg", description="how updates make the next tail; server/rounds/aggregation.py")
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
    rounds: int = Field(18, ge=1, le=10_000)
    local_epochs: int = Field(2, ge=1, le=1000)
    select: SelectionName = Field(
        "last",
        description="which round's or epoch's model is kept; see common/training/selection_rules.py",
    )
    min_sites: int = Field(1, ge=1, description="a round with fewer usable replies is repeated")
    round_attempts: int = Field(3, ge=1, le=100, description="with too few usable replies each, and the run pauses")
    retry_seconds: float = Field(30, ge=0, le=86_400, description="between two attempts")
    largest_norm: float = Field(
        10, ge=0, description="of an update, in multiples of the usual one; a larger one is left out; 0: no limit"
    )
    largest_weight: float = Field(
        5,
        ge=0,
        description="of a site in averages and in validation, in multiples of the median number of images; 0: no bound",
    )
    quarantine_after: int = Field(
        3, ge=0, description="rounds in a row without a usable reply; the site is then not asked for a while; 0: never"
    )
    quarantine_rounds: int = Field(3, ge=1, le=1000, description="how long that is")
    wait_seconds: float = Field(120, gt=0, description="for enough hospitals to be online")
    round_seconds: float = Field(3600, gt=0, le=2_592_000, description="for the replies of one round; 30 days at most")
    keep_checkpoints: int = Field(2, ge=1, le=10_000, description="of the last rounds, beside the best one's")


class ExchangePlan(PlanGroup):
    """The form of what travels."""

    score_bins: int = Field(50, ge=2, le=1000, description="resolution of the score histograms; a hospital tells less")


class PrivacyPlan(PlanGroup):
    """Limits on what an update can reveal about one hospital."""

    update_clip_norm: float = Field(0.0, ge=0, description="largest L2 norm of a site's update; 0: no limit")


def fold_count(test_fraction: float) -> int:
    """Return how many test folds a fraction in [0.001, 0.5] stands for, ``round(1 / test_fraction)``; 5 for 0.2."""
    return round(1 / test_fraction)


def words_of(text: str) -> tuple[str, ...]:
    """Split a comma-separated list, without repetitions."""
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def nearest(word: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """Return the end of an error about an unknown word, which names the most similar known one."""
    # With a missing or wrong group, the key that ends in the same word was meant.
    same_ending = [key for key in known if key.rpartition(".")[2] == word.rpartition(".")[2]]
    return did_you_mean(word, same_ending or known)
