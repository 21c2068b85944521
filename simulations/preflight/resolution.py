"""Are the images large enough for what the network sees of them?"""

from client.preflight.findings import Finding, passed, warn
from client.preflight.survey import Survey
from common.system.wording import first_few, plural

_TINY = 4
"""An image that is enlarged by more than this shows blocks or blur instead of tissue."""


def check_resolution(survey: Survey, size: int, read_side: int) -> Finding:
    """Compare the images' sizes with the network's input.

    Parameters
    ----------
    survey : Survey
        Of all images.
    size : int
        `data.size`: the side in pixels of what the network sees.
    read_side : int
        The plan's: that of what random crops are cut from, at least `size`.
    """
    shorter = [min(picture.width, picture.height) for picture in survey.pictures]
    if not shorter:
        return passed("resolution", "no image to measure")
    longer = max(max(picture.width, picture.height) for picture in survey.pictures)
    found = f"sides of {min(shorter)} to {longer} pixels, of which the network sees {size} x {size}"
    if read_side > size:
        found += f", in crops from {read_side} x {read_side}"
    tiny = [p.name for p, side in zip(survey.pictures, shorter, strict=True) if side * _TINY < size]
    if tiny:
        told = f"{found}; {plural(len(tiny), 'image')} enlarged more than {_TINY} times: {first_few(tiny)}"
        return warn("resolution", told, "remove thumbnails, or lower data.size if all images are small")
    if read_side > size and longer <= size:
        return warn("resolution", f"{found}; no image has more pixels to cut from", "set augmentation.read_scale = 1")
    enlarged = sum(side < size for side in shorter)
    return passed("resolution", found + (f"; {plural(enlarged, 'image')} enlarged" if enlarged else ""))
