"""What a study found, in plain sentences that claim no more than the test images can show."""

from dataclasses import dataclass
from math import ceil

from common.metrics import PairedTest
from simulations.comparison import Row, comparison_rows, count, interval
from simulations.summary import Summary

_PHRASES = {
    "federated": "federated training",
    "centralized": "training on the pooled images",
    "local": "each hospital alone, on its own patients,",
    "local-all": "the hospitals’ own models, on all patients,",
}
_NAMES = {"centralized": "centralised training", "local": "each hospital alone"}


@dataclass(frozen=True)
class Verdict:
    """The sentences at the top of the report.

    Attributes
    ----------
    headline : str
        One sentence: how many test images each arm got right, with 95 % intervals in percent.
    comparisons : list of str
        What the paired tests say, one sentence each.
    cautions : list of str
        How much of that is noise.
    """

    headline: str
    comparisons: list[str]
    cautions: list[str]


def reach_verdict(summary: Summary, tests: dict[str, PairedTest]) -> Verdict:
    """Put a study into words.

    Parameters
    ----------
    summary : Summary
        The study.
    tests : dict of str to PairedTest
        Federated (first) against the arm of that name (second).
    """
    rows = {row.key: row for row in comparison_rows(summary) if row.metrics.total}
    ordered = [rows[key] for key in _PHRASES if key in rows]
    if not ordered:
        return Verdict("No arm of this study was scored on a test image.", [], [])
    return Verdict(_headline(ordered), [_compare(arm, test) for arm, test in tests.items()], _cautions(summary, tests))


def _headline(rows: list[Row]) -> str:
    first, *others = rows
    total = first.metrics.total
    subject = _PHRASES[first.key]
    sentence = f"{subject[0].upper()}{subject[1:]} got {count(first.metrics.correct)} of {total} test images right"
    sentence += _sureness(first)
    for row in others:
        of_total = "" if row.metrics.total == total else f" of {row.metrics.total}"
        sentence += f"; {_PHRASES[row.key]} {count(row.metrics.correct)}{of_total}{_sureness(row)}"
    return sentence + "."


def _sureness(row: Row) -> str:
    if row.key == "local-all":
        return " on average"
    limits = interval("accuracy", row.metrics)
    return f" ({limits}\N{NO-BREAK SPACE}%)" if limits else ""


def _compare(arm: str, test: PairedTest) -> str:
    other = _NAMES[arm]
    lead = test.only_first - test.only_second
    if test.only_first + test.only_second == 0:
        return f"Federated training and {other} got exactly the same images right."
    both = (
        f"only federated training was right on {_images(test.only_first)}, only {other} on {_images(test.only_second)}"
    )
    odds = f"exact McNemar p {'< 0.001' if test.p_value < 0.001 else f'= {test.p_value:.2g}'}"
    if test.p_value >= 0.05:
        return f"Against {other}: {both}. {test.total} images show no difference between the two ({odds})."
    better = "federated training" if lead > 0 else other
    return (
        f"Against {other}: {both}. That is more than chance explains on these images, in favour of {better} ({odds})."
    )


def _cautions(summary: Summary, tests: dict[str, PairedTest]) -> list[str]:
    rows = [row for row in comparison_rows(summary) if row.metrics.total]
    total = rows[0].metrics.total
    if tests:
        noise = max(test.detectable_difference() for test in tests.values())
    else:
        # Without pairs, the half-width of one accuracy's interval says how far it may be off.
        limits = [row.metrics.ci95.get("accuracy") for row in rows]
        noise = max(((high - low) / 2 for low, high in filter(None, limits)), default=1.0)
    points = max(ceil(100 * noise), 1)
    cautions = [
        f"One image is {_points(100 / total)}; differences below about {_points(points)} mean nothing on "
        f"{_images(total, 'test image')}. Another split of the same patients could move every number by as much."
    ]
    patients = summary.dataset.patients
    if patients is not None and patients < summary.dataset.images:
        cautions.append(
            f"The {summary.dataset.images} images come from {patients} patients. The intervals take images as "
            "independent, so they are somewhat too narrow."
        )
    return cautions


def _images(number: int, noun: str = "image") -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _points(number: float) -> str:
    return f"{number:.2g} point{'' if number == 1 else 's'}" if number < 100 else f"{number:.0f} points"
