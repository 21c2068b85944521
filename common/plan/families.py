"""The network families that can be trained: names in timm, stages in forward order, and where early freezing ends.

Data only, so that a plan can be checked without importing torch.
"""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Stage:
    """Consecutive modules that are frozen or trained together.

    Attributes
    ----------
    name : str
        Its name in the plan: `model.freeze = "layer3"` freezes up to and including this stage.
    modules : tuple of str
        Dotted paths in the timm model, applied one after the other.
    """

    name: str
    modules: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """One architecture with one set of published weights.

    Attributes
    ----------
    name : str
        Its name in the plan.
    timm_name : str
        timm's `architecture.tag`; the tag stands for the published weights and their `pretrained_cfg`.
    stages : tuple of Stage
        Everything before the global average pooling, in forward order.
    features : int
        Number of channels that are pooled.
    early : str
        The last stage that `model.freeze = "early"` freezes.
    least_size : int
        Smallest image side in pixels that leaves at least one cell to pool.
    normalised : bool
        Whether every stage has normalisation layers.
    own_size : int
        Side in pixels of the images that its weights were trained on.
    """

    name: str
    timm_name: str
    stages: tuple[Stage, ...]
    features: int
    early: str
    least_size: int = 32
    normalised: bool = True
    own_size: int = 224

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The names `model.freeze` understands besides "none", "early" and "all"."""
        return tuple(stage.name for stage in self.stages)

    def frozen_stages(self, freeze: str) -> int:
        """Return how many stages `model.freeze` freezes: "none", "early", "all" or the name of the last one."""
        if freeze == "none":
            return 0
        if freeze == "all":
            return len(self.stages)
        return self.stage_names.index(self.early if freeze == "early" else freeze) + 1

    @property
    def late(self) -> str:
        """Last frozen stage of a smaller tail: that behind `early`, or `early` where only the head would be left."""
        return self.stage_names[min(self.stage_names.index(self.early) + 1, len(self.stages) - 2)]


def _efficientnet(name: str, timm_name: str, own_size: int = 224) -> Family:
    blocks = tuple(Stage(f"block{index}", (f"blocks.{index}",)) for index in range(7))
    stages = (Stage("stem", ("conv_stem", "bn1")), *blocks, Stage("top", ("conv_head", "bn2")))
    return Family(name, timm_name, stages, features=1280, early="block4", own_size=own_size)


def _vgg16() -> Family:
    # timm keeps one flat list; a stage ends with its max pooling. The two fully connected layers of 4096 units are
    # left out: global average pooling takes their place (Lin et al. 2014, Network in Network, section 3.2), which
    # leaves 14.7 instead of 138 million weights to fit on a few dozen images and to send every round.
    bounds = (0, 5, 10, 17, 24, 31)
    stages = tuple(
        Stage(f"conv{number}", tuple(f"features.{layer}" for layer in range(first, last)))
        for number, (first, last) in enumerate(pairwise(bounds), start=1)
    )
    return Family("vgg16", "vgg16.tv_in1k", stages, features=512, early="conv4", normalised=False)


def _inception_v3() -> Family:
    stem = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Pool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "Pool2")
    mixed = {5: "bcd", 6: "abcde", 7: "abc"}
    stages = (
        Stage("stem", stem),
        *(Stage(f"mixed{n}", tuple(f"Mixed_{n}{letter}" for letter in letters)) for n, letters in mixed.items()),
    )
    return Family(
        "inception_v3", "inception_v3.tv_in1k", stages, features=2048, early="mixed6", least_size=75, own_size=299
    )


def _densenet121() -> Family:
    stages = (
        Stage("stem", ("features.conv0", "features.norm0", "features.pool0")),
        *(Stage(f"dense{n}", (f"features.denseblock{n}", f"features.transition{n}")) for n in (1, 2, 3)),
        Stage("dense4", ("features.denseblock4", "features.norm5")),
    )
    return Family("densenet121", "densenet121.tv_in1k", stages, features=1024, early="dense3")


def _resnet50() -> Family:
    layers = tuple(Stage(f"layer{n}", (f"layer{n}",)) for n in (1, 2, 3, 4))
    return Family(
        "resnet50",
        "resnet50.tv_in1k",
        (Stage("stem", ("conv1", "bn1", "act1", "maxpool")), *layers),
        features=2048,
        early="layer3",
    )


FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        _vgg16(),
        _resnet50(),
        _inception_v3(),
        _densenet121(),
        _efficientnet("efficientnet_b0", "efficientnet_b0.ra_in1k"),
        _efficientnet("efficientnet_lite0", "tf_efficientnet_lite0.in1k"),
        _efficientnet("efficientnet_lite1", "tf_efficientnet_lite1.in1k", own_size=240),
        _efficientnet("efficientnet_lite2", "tf_efficientnet_lite2.in1k", own_size=260),
    )
}
