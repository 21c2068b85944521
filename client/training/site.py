"""One hospital's images, split, under the hospital's name."""

from dataclasses import dataclass

from common.dataset.splits import Split


@dataclass(frozen=True)
class Site:
    """What a hospital trains and evaluates on.

    Attributes
    ----------
    name : str
        The site's name in tables and logs.
    classes : tuple of str
        All classes of the federation, in label order, also those this site has no image of.
    split : Split
        Train, validation and test images; no patient is in two of them.
    """

    name: str
    classes: tuple[str, ...]
    split: Split
