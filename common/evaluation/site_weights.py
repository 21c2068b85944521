"""How much one hospital may count beside the others, whatever number of images it declares."""

from collections.abc import Mapping
from statistics import median_low


def bounded_weights(images: Mapping[str, int], largest: float) -> dict[str, int]:
    """Return the hospitals' weights: their numbers of images, each at most a multiple of the median one.

    A hospital's number of images is its own word. Of an even number of hospitals the lower median counts: of two, one
    that lies must not be half of what it is measured by.

    Parameters
    ----------
    images : mapping of str to int
        Number of images by hospital, each at least 1.
    largest : float
        The largest weight, in multiples of the median number; 0: no bound.
    """
    if not largest or not images:
        return dict(images)
    bound = max(1, int(largest * median_low(images.values())))
    return {name: min(count, bound) for name, count in images.items()}
