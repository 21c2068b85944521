"""What a study cannot say: which differences its test images cannot show, and what its intervals leave out."""

from collections.abc import Mapping
from math import ceil

from common.plan.selection import COMPARING
from common.summary.arm import MetricsRecord
from common.summary.summary import Summary
from common.system.wording import plural
from simulations.report.formatting import count, listed
from simulations.study.arms import ARMS, CENTRALIZED, FEDERATED
from simulations.study.fault_descriptions import describe_faults


def list_caveats(summary: Summary, found: Mapping[str, MetricsRecord]) -> list[str]:
    """Return what the data of a study cannot say, one or two sentences each; `found` holds at least one arm."""
    total = next(iter(found.values())).total
    limits = [_resolution(summary, found, total)]
    if summary.dataset.synthetic:
        limits.append("The images are synthetic: the numbers say nothing about any disease.")
    limits += tell_faults(summary)
    limits.append(_rounds_of_testing(summary, found, total))
    limits += _independence(summary)
    if len(summary.tests) > 1:
        limits.append(
            f"The p-values of the {len(summary.tests)} comparisons are not corrected for their number; "
            "federated against centralised is the one this study is for."
        )
    return limits


def tell_faults(summary: Summary) -> list[str]:
    """Return one sentence for each fault that the federation of a study was given on purpose."""
    return describe_faults(summary.plan.get("study", {}), len(summary.dataset.sites))


def _resolution(summary: Summary, found: Mapping[str, MetricsRecord], total: int) -> str:
    """Say which differences the test images cannot show."""
    one = f"One image is {_points(100 / total)}"
    test = summary.tests.get(f"{FEDERATED}-{CENTRALIZED}")
    main = test.accuracy if test is not None else None
    if main is not None and main.ci95 is not None:
        low, high = (100 * limit for limit in main.ci95)
        # Half the interval: a true difference must be about this large to stand out from chance.
        least = max(ceil((high - low) / 2), ceil(100 / total))
        tested = plural(total, "test image")
        if main.clear:
            return (
                f"{one}. A difference between federated and centralised training below about {_points(least)} would "
                f"not have shown on {tested}."
            )
        return (
            f"{one}. {tested} cannot tell federated from centralised training: differences below about "
            f"{_points(least)} are noise here, and federated training may truly be up to {_points_of(-low)} worse or "
            f"{_points_of(high)} better."
        )
    ranges = [metrics.ci95.get("accuracy") for metrics in found.values()]
    noise = max(((high - low) / 2 for low, high in filter(None, ranges)), default=1.0)
    return f"{one}; each accuracy is only known to about ±{_points(max(ceil(100 * noise), 1))}."


def _rounds_of_testing(summary: Summary, found: Mapping[str, MetricsRecord], total: int) -> str:
    study = summary.study
    if study.folds < 2:
        untested = summary.dataset.images - total
        rest = f" of {summary.dataset.images}; {_use_of_the_others(summary)}" if untested > 0 else ""
        return (
            f"One split: {plural(total, 'image')} tested{rest}. Another split of the same patients could move every "
            "number by more than the intervals say."
        )
    times = "once" if study.repeats == 1 else f"{study.repeats} times"
    sentence = (
        f"{plural(study.repeats, 'repeat')} of {study.folds}-fold cross-validation: every image was tested {times}, "
        "each time by a model that never saw its patient."
    )
    spans: list[str] = []
    for key in (FEDERATED, CENTRALIZED):
        arm = summary.arms.get(key)
        if arm is not None and len(arm.per_repeat) > 1:
            counts = [repeat.correct for repeat in arm.per_repeat]
            spans.append(
                f"{count(min(counts))} to {count(max(counts))} {'' if spans else 'right '}({ARMS[key].in_sentence})"
            )
    if spans:
        sentence += f" From repeat to repeat: {listed(spans)}."
    return sentence


def _use_of_the_others(summary: Summary) -> str:
    """Say what the images were for that were not tested."""
    if not any(site.validation for site in summary.dataset.sites):
        return "the others trained"
    chose = summary.plan.get("federation", {}).get("select", "best") in COMPARING
    return "the others trained and chose the models" if chose else "the others trained, or were held back unused"


def _independence(summary: Summary) -> list[str]:
    images, patients = summary.dataset.images, summary.dataset.patients
    scope = "The intervals speak of other patients of these hospitals, not of other hospitals."
    if patients is None:
        return [scope]
    if patients < images:
        whose = f"The {images} images come from {plural(patients, 'patient')}; the intervals draw patients, not images."
        return [f"{whose} {scope}"]
    if summary.dataset.patient_source == "each image its own patient":
        whose = "No image says whose it is, so each counts as its own patient; if some share one, the intervals are too"
        return [f"{whose} narrow. {scope}"]
    return [f"Each image is of another patient. {scope}"]


def _points(number: float) -> str:
    return f"{number:.2g} point{'' if number == 1 else 's'}" if number < 100 else f"{number:.0f} points"


def _points_of(number: float) -> str:
    shown = max(number, 0.0)
    return f"{shown:.1f} point{'' if f'{shown:.1f}' == '1.0' else 's'}"
