"""Are the images large enough for what the network sees of them?"""

from client.preflight.findings import Finding, passed, warn
from client.preflight.survey import Survey
from common.plan.training_plan import TrainingPlan
from common.system.wording import first_few, plural
from simulations.preflight.image_sides import describe_sides, sides_read, sides_seen, size_to_lower

_TINY = 4
"""An image that is enlarged by more than this shows blocks or blur instead of tissue."""


def check_resolution(survey: Survey, plan: TrainingPlan) -> Finding:
    """Compare the images' sizes with the network's input.

    Parameters
    ----------
    survey : Survey
        Of all images.
    plan : TrainingPlan
        Its families, `data.size`, `study.own_size` and `augmentation.read_scale` are looked at.
    """
    shorter = [min(picture.width, picture.height) for picture in survey.pictures]
    if not shorter:
        return passed("resolution", "no image to measure")
    seen, read = sides_seen(plan), sides_read(plan)
    size = seen[-1]
    longer = max(max(picture.width, picture.height) for picture in survey.pictures)
    found = f"sides of {min(shorter)} to {longer} pixels, of which the network sees {describe_sides(seen)}"
    if read != seen:
        found += f", in crops from {describe_sides(read)}"
    tiny = [p.name for p, side in zip(survey.pictures, shorter, strict=True) if side * _TINY < size]
    if tiny:
        told = f"{found}; {plural(len(tiny), 'image')} enlarged more than {_TINY} times: {first_few(tiny)}"
        return warn("resolution", told, f"remove thumbnails, or lower {size_to_lower(plan)} if all images are small")
    if read != seen and longer <= seen[0]:
        return warn("resolution", f"{found}; no image has more pixels to cut from", "set augmentation.read_scale = 1")
    enlarged = sum(side < size for side in shorter)
    return passed("resolution", found + (f"; {plural(enlarged, 'image')} enlarged" if enlarged else ""))
