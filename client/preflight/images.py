"""Can all images be read, and are some of them unlike the others?"""

import statistics
from collections.abc import Iterable

from client.preflight.findings import Finding, passed, warn
from client.preflight.lettering import LEAST_LETTERS
from client.preflight.survey import Picture, Survey
from common.system.wording import first_few, plural

_FACTOR = 3.0  # from the median size or shape, either way
_BLANK = 4.0  # standard deviation of grey values
_CLIPPED = 0.4  # share of pixels, beyond the median of all images


def check_readable(survey: Survey) -> Finding:
    """Say which files training will not use, and why."""
    told = survey.files.lines()
    if survey.left_out:
        reasons = first_few(f"{name} ({reason})" for name, reason in survey.left_out)
        found = f"{plural(len(survey.left_out), 'image')} left out: {reasons}"
        if told:
            found = f"{found}; {'; '.join(told)}"
        return warn("readable", found, "export them anew, or remove them; the others are used")
    if told:
        return warn("readable", "; ".join(told), "see that nothing is missing; export frames as files of their own")
    return passed("readable", f"all {len(survey.pictures)} images")


def check_sizes(survey: Survey) -> Finding:
    """Find images that are far larger, smaller or narrower than the others."""
    width, height = (_median(getattr(picture, side) for picture in survey.pictures) for side in ("width", "height"))
    odd = [
        picture
        for picture in survey.pictures
        if _far(picture.width * picture.height, width * height, _FACTOR**2)
        or _far(picture.width / picture.height, width / max(height, 1), _FACTOR)
    ]
    if odd:
        listed = first_few(f"{picture.name} ({picture.width} x {picture.height})" for picture in odd)
        found = f"{plural(len(odd), 'image')} far from the median of {width:.0f} x {height:.0f}: {listed}"
        return warn("sizes", found, "remove thumbnails, strips and screenshots")
    return passed("sizes", f"median {width:.0f} x {height:.0f} pixels, none far from it")


def check_colours(survey: Survey) -> Finding:
    """Find grey images among coloured ones, or coloured images among grey ones."""
    coloured = [picture for picture in survey.pictures if picture.colour]
    grey = [picture for picture in survey.pictures if not picture.colour]
    if coloured and grey:
        kinds = sorted([(len(grey), "grey", grey), (len(coloured), "coloured", coloured)], key=lambda kind: kind[0])
        (few, kind, odd), (many, other, _) = kinds
        found = f"{plural(few, f'{kind} image')} among {many} {other}: {_names(odd)}"
        return warn("colours", found, "see that they show the same kind of picture; else remove them")
    return passed("colours", "all coloured" if coloured else "all grey")


def check_exposure(survey: Survey) -> Finding:
    """Find images that show nothing, and those of which a much larger part is black or white than of the others."""
    usual = _median(picture.clipped for picture in survey.pictures)
    blank = [picture for picture in survey.pictures if picture.spread < _BLANK]
    clipped = [
        picture for picture in survey.pictures if picture.clipped - usual > _CLIPPED and picture.spread >= _BLANK
    ]
    found = [
        f"{plural(len(pictures), f'{kind} image')}: {_names(pictures)}"
        for kind, pictures in (("blank", blank), ("saturated", clipped))
        if pictures
    ]
    if found:
        return warn("exposure", "; ".join(found), "look at them, and remove those that show nothing")
    return passed("exposure", "no blank or saturated image")


def check_burned_in_text(survey: Survey) -> Finding:
    """Find images that seem to have text in them."""
    written = [picture for picture in survey.pictures if picture.letters >= LEAST_LETTERS]
    if written:
        found = f"{plural(len(written), 'image')} with what may be letters: {_names(written)}"
        mend = "look at them: a name would stay here, but a text that one class has teaches the model to read"
        return warn("burned-in text", found, mend)
    return passed("burned-in text", "no rows of letters seen")


def _names(pictures: list[Picture]) -> str:
    return first_few(picture.name for picture in pictures)


def _median(values: Iterable[float]) -> float:
    return float(statistics.median([*values] or [0]))


def _far(value: float, usual: float, factor: float) -> bool:
    return value > factor * usual or factor * value < usual
