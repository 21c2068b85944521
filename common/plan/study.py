"""The plan's group `study.*`: simulated hospitals, the arms to compare, and how often."""

import re
from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from common.plan.families import FAMILIES
from common.plan.groups import STRATEGIES, Fraction, PlanGroup, nearest, words_of

PartitionName = Literal["auto", "natural", "iid", "dirichlet", "quantity-skew"]

PARTITIONS: tuple[str, ...] = get_args(PartitionName)

ARMS = ("federated", "centralized", "local", "scratch", "probe")

HostileName = Literal["scaled", "flipped"]

FAULTS: tuple[str, ...] = ("none", "dropout", *get_args(HostileName))


_RECIPE_NAME = re.compile(r"[A-Za-z0-9._+-]{1,40}")
# What a study compares on the same tested images: the recipe may not change the images, the folds or the study's size.
_RECIPE_GROUPS = ("model", "data", "augmentation", "training", "federation", "privacy")
_RECIPE_KEYS = ("study.centralized_epochs", "study.centralized_batch_size")
_FIXED_KEYS = (
    *(f"data.{name}" for name in ("path", "classes", "positive", "split", "split_column", "fold", "test_fraction")),
    "training.device",
)


class StudyPlan(PlanGroup):
    """Simulated hospitals out of one data set, the arms to compare, and how often."""

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
    centralized_epochs: int = Field(36, ge=1, le=10_000, description="also of a hospital that trains alone")
    centralized_batch_size: int = Field(16, ge=1, le=1024)
    folds: int = Field(
        0, ge=0, le=100, description="cross-validation: every image tested once per repeat; 0: one split"
    )
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
    recipes: str = Field(
        "",
        description="changes of this plan to compare with it, such as `raw: data.denoise=none; long: "
        "federation.rounds=24 study.centralized_epochs=48`; empty: none",
    )
    own_size: bool = Field(
        False, description="train each family on images of the side that its weights were trained on, not of data.size"
    )
    in_memory: bool = Field(
        False,
        description="of a cross-validation: each federation within one worker, without Flower's messages; the same "
        "weights, and sooner where there are many federations",
    )
    missing_weights: Literal["report", "scratch"] = Field(
        "report", description="a family of study.models without weights: only say so, or train it from scratch"
    )

    @model_validator(mode="after")
    def _check_lists(self) -> Self:
        lists = {"arms": ARMS, "models": tuple(FAMILIES), "strategies": STRATEGIES, "partitions": PARTITIONS}
        for key, known in {**lists, "faults": FAULTS}.items():
            for word in words_of(getattr(self, key)):
                if word not in known:
                    raise ValueError(f"study.{key} names {word!r}{nearest(word, known)}")
        for word in words_of(self.site_counts):
            if not word.isdecimal() or not 0 < int(word) <= 1000:
                raise ValueError(f"study.site_counts names {word!r}: expected numbers of hospitals, such as 2,4,8")
        parse_recipes(self.recipes)
        if not self.arm_names:
            raise ValueError(f"study.arms is empty; name some of {', '.join(ARMS)}")
        if self.folds == 1:
            raise ValueError("study.folds = 1: nothing would be left to train on; take 2 or more, or 0 for one split")
        if self.in_memory and not self.folds:
            raise ValueError("study.in_memory is for a cross-validation: set study.folds, such as 5, or leave it out")
        return self

    @model_validator(mode="after")
    def _check_faults(self) -> Self:
        words = words_of(self.faults)
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
        return words_of(self.arms)

    def swept(self, key: Literal["models", "strategies", "partitions", "site_counts", "faults"]) -> tuple[str, ...]:
        """Return the values of a sweep, in the order given; empty for a key that is not swept."""
        return words_of(getattr(self, key))


def parse_recipes(text: str) -> dict[str, dict[str, str]]:
    """Return the changes of each recipe by its name; see `StudyPlan.recipes`.

    Raises
    ------
    ValueError
        If the text is none of recipes, a name is there twice, or a key is one that all recipes of a study share.
    """
    recipes: dict[str, dict[str, str]] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        name, colon, rest = (piece.strip() for piece in part.partition(":"))
        if not colon or not rest or not _RECIPE_NAME.fullmatch(name):
            raise ValueError(f"study.recipes: {part!r} is not NAME: KEY=VALUE ..., such as raw: data.denoise=none")
        if name in recipes:
            raise ValueError(f"study.recipes names {name!r} twice")
        recipes[name] = dict(_recipe_change(name, word) for word in rest.split())
    return recipes


def _recipe_change(recipe: str, word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals or not value:
        raise ValueError(f"study.recipes: {word!r} of {recipe} is not KEY=VALUE")
    if key in _FIXED_KEYS or (key.partition(".")[0] not in _RECIPE_GROUPS and key not in _RECIPE_KEYS):
        raise ValueError(f"study.recipes: {recipe} changes {key}, which all recipes of a study share")
    return key, value
