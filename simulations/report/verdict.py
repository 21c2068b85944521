"""What a study found, in plain sentences that claim no more than the test images can show."""

from collections.abc import Mapping
from dataclasses import dataclass

from common.summary.arm import MetricsRecord
from common.summary.comparison import DifferenceRecord, GapClosedRecord, PairedTestRecord
from common.summary.summary import Summary
from common.system.wording import plural
from simulations.report.formatting import (
    correct_of_total,
    count,
    interval,
    p_value,
    share,
    share_limits,
    signed,
    signed_limits,
)
from simulations.report.limitations import list_caveats
from simulations.report.tables.cells import metrics_by_arm
from simulations.study.arms import ARMS, CENTRALIZED, FEDERATED, GAP_ARMS, LOCAL


@dataclass(frozen=True)
class Verdict:
    """The sentences at the top of the report.

    Attributes
    ----------
    headline : str
        One sentence: how many test images the main arms got right, with 95 % intervals in percent.
    gap : str
        One sentence: how much of what separates a lonely hospital from pooled images federating closed; may be "".
    findings : list of str
        What the tests of two arms say, one sentence or two each; then the worst site.
    limits : list of str
        What the data cannot say.
    """

    headline: str
    gap: str
    findings: list[str]
    limits: list[str]


def reach_verdict(summary: Summary) -> Verdict:
    """Put a study into words."""
    found = {key: metrics for key, metrics in metrics_by_arm(summary.arms).items() if metrics.total}
    if not found:
        return Verdict("No arm of this study was scored on a test image.", "", [], [])
    findings = [_compare(test, found) for test in summary.tests.values()]
    return Verdict(
        _headline(found, summary.study.repeats),
        _gap((summary.gap_closed or {}).get("accuracy")),
        [*findings, *_worst_sites(summary)],
        list_caveats(summary, found),
    )


def _headline(found: Mapping[str, MetricsRecord], repeats: int) -> str:
    main = [key for key in (FEDERATED, *GAP_ARMS) if key in found]
    first, *others = dict.fromkeys(main or found)
    total = found[first].total
    subject = ARMS[first].headline_subject
    right = f"{count(found[first].correct)} of {plural(total, 'test image')} right{_sureness(found[first])}"
    sentence = f"{subject[0].upper()}{subject[1:]} got {right}"
    for key in others:
        of_total = "" if found[key].total == total else f" of {found[key].total}"
        sentence += f"; {ARMS[key].headline_subject} {count(found[key].correct)}{of_total}{_sureness(found[key])}"
    return sentence + (f" (means of {repeats} repeats)." if repeats > 1 else ".")


def _sureness(metrics: MetricsRecord) -> str:
    limits = interval("accuracy", metrics)
    return f" ({limits}\N{NO-BREAK SPACE}%)" if limits else ""


def _gap(gap: GapClosedRecord | None) -> str:
    if gap is None:
        return ""
    subject = "the gap between a lonely hospital and pooled images"
    if gap.value is None:
        why = f": {gap.reason}" if gap.reason else ""
        return f"How much of {subject} federating closed cannot be said{why}."
    sentence = f"Federating closed {share(gap.value)}"
    if gap.ci95 is None:
        return f"{sentence} of {subject} (no interval{f': {gap.reason}' if gap.reason else ''})."
    sentence += f" ({share_limits(gap.ci95)}\N{NO-BREAK SPACE}%) of {subject}"
    if gap.ci95[0] <= 0:
        return sentence + "; the interval reaches 0, so it may have closed none of it."
    return sentence + "."


def _compare(test: PairedTestRecord, found: Mapping[str, MetricsRecord]) -> str:
    first, second = (ARMS[arm].in_sentence if arm in ARMS else arm for arm in (test.first, test.second))
    total = found[test.first].total if test.first in found else 0
    accuracy, auc = test.accuracy, test.auc
    if accuracy is None:
        return f"{first[0].upper()}{first[1:]} and {second} could not be tested against each other: too few patients."
    images = abs(accuracy.difference) * total
    if count(images) == "0":
        lead = f"{first} and {second} got equally many images right"
    else:
        more = "more" if accuracy.difference > 0 else "fewer"
        lead = f"{first} got {count(images)} {more} of {plural(total, 'image')} right than {second}"
    points = f"{signed(100 * accuracy.difference)} points"
    if accuracy.ci95 is not None:
        points += f", 95 % interval {signed_limits((100 * accuracy.ci95[0], 100 * accuracy.ci95[1]))}"
    sentence = f"{lead[0].upper()}{lead[1:]} ({points}{_odds(accuracy)})."
    if auc is not None:
        limits = f", 95 % interval {signed_limits(auc.ci95, 3)}" if auc.ci95 else ""
        sentence += f" AUC: {signed(auc.difference, 3)}{limits}{_odds(auc)}."
    return f"{sentence} {_conclude(accuracy, auc, first, second, total)}"


def _odds(difference: DifferenceRecord) -> str:
    if difference.p_value is None:
        return ""
    odds = p_value(difference.p_value)
    return (f"; p {odds}" if odds.startswith("<") else f"; p = {odds}").replace("p ", "p\N{NO-BREAK SPACE}")


def _conclude(accuracy: DifferenceRecord, auc: DifferenceRecord | None, first: str, second: str, total: int) -> str:
    """Say which of two arms is better, if both the interval and the test say so."""
    these = f"these {total} images" if total != 1 else "this one image"
    if accuracy.clear:
        better = first if accuracy.difference > 0 else second
        opposed = auc is not None and auc.clear and (auc.difference > 0) != (accuracy.difference > 0)
        return f"More than chance explains, in favour of {better}{'; the AUC says the opposite' if opposed else ''}."
    if auc is not None and auc.clear:
        better = first if auc.difference > 0 else second
        return f"By accuracy {these} cannot tell the two apart; by AUC {better} ranks them better."
    return f"{these[0].upper()}{these[1:]} cannot tell the two apart."


def _worst_sites(summary: Summary) -> list[str]:
    parts = []
    for key in (FEDERATED, CENTRALIZED, LOCAL):
        arm = summary.arms.get(key)
        if arm is None or arm.worst_site is None or len(arm.per_site) < 2:
            continue
        site = arm.per_site.get(arm.worst_site.name)
        if site is not None and site.total:
            right = correct_of_total(site).replace("/", " of ")
            parts.append(f"{ARMS[key].in_sentence} at {arm.worst_site.name} ({right} right{_range(site)})")
    return [f"Least accurate site: {'; '.join(parts)}."] if parts else []


def _range(metrics: MetricsRecord) -> str:
    limits = interval("accuracy", metrics)
    return f", {limits}\N{NO-BREAK SPACE}%" if limits else ""
