"""What `--quick` and `--best` change in a plan: how long is trained, and how many views an image has."""

from collections.abc import Mapping
from types import MappingProxyType

from common.plan.groups import Scalar

QUICK: Mapping[str, Scalar] = MappingProxyType(
    {
        "federation.rounds": 6,
        "study.centralized_epochs": 12,
        "augmentation.views": 6,
        "augmentation.test_views": 4,
    }
)
"""A third of the passes over the images, and half of the views."""

BEST: Mapping[str, Scalar] = MappingProxyType({"federation.rounds": 30, "study.centralized_epochs": 60})
"""More passes over the images."""
