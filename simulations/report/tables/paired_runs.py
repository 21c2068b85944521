"""Later runs against the first: a table of the tests of each pair, and a line where a pair was not tested."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from common.statistics.bootstrap import Bootstrap
from common.summary.comparison import PairedTestRecord
from simulations.analysis.arm_comparison import compare_predictions
from simulations.analysis.predictions import Predictions
from simulations.analysis.untested_pair import why_no_numbers, why_not_paired
from simulations.report.tables.differences_table import differences_table
from simulations.report.tables.runs import Runs
from simulations.report.tables.table import Table
from simulations.study.arms import ARMS

_Arms = Mapping[str, Predictions]


@dataclass(frozen=True)
class PairOfRuns:
    """Two runs by their letters, what was tested, and why the rest was not.

    Attributes
    ----------
    table : Table
        Without rows where no arm was tested.
    untested : str
        One line, or "" where all arms were tested.
    """

    table: Table
    untested: str


def pair_runs(runs: Runs) -> list[PairOfRuns]:
    """Test every later run against the first, in the arms for which both tested the same images of the same patients.

    Parameters
    ----------
    runs : Runs
        Two or more.

    Returns
    -------
    list of PairOfRuns
        One for each run but the first.
    """
    first, *others = runs.folders
    return [_pair(runs, first, other) for other in others]


def _pair(runs: Runs, first: str, other: str) -> PairOfRuns:
    tests: dict[str, PairedTestRecord] = {}
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    one, two = runs.predictions[first], runs.predictions[other]
    same = _why_the_same(runs, first, other)
    common = [] if same else [arm for arm in ARMS if arm in one and arm in two]
    for arm in common:
        reason = why_not_paired(one[arm], two[arm])
        if reason is None:
            test = tests[arm] = _test(one[arm], two[arm], (f"{ARMS[arm].full_title}: {first}", other))
            reason = why_no_numbers(one[arm], accuracy=test.accuracy is not None, auc=test.auc is not None)
        if reason:
            reasons[reason].append(arm)
    table = replace(
        differences_table(tests), name=f"paired-{first}-{other}", title=f"{first} minus {other}, on the same images"
    )
    return PairOfRuns(table, _untested(f"{first} and {other}", same or _lacking(one, two, common), reasons, common))


def _why_the_same(runs: Runs, first: str, other: str) -> str:
    if runs.folders[first].resolve() == runs.folders[other].resolve():
        return "they are the same run, named twice"
    return "one is a copy of the other" if runs.summaries[first] == runs.summaries[other] else ""


def _lacking(one: _Arms, two: _Arms, common: list[str]) -> str:
    """Return why no arm was looked at, or ""."""
    if common:
        return ""
    if not (one and two):
        return "no predictions of one of them"
    arms = [", ".join(ARMS[arm].short_title for arm in ARMS if arm in each) for each in (one, two)]
    return f"no arm in common ({arms[0]}; {arms[1]})"


def _untested(pair: str, whole: str, reasons: Mapping[str, list[str]], common: list[str]) -> str:
    """Return the line of a pair: one reason for all of it, or each reason with its arms."""
    if whole:
        return f"{pair} were not tested against each other: {whole}."
    if not reasons:
        return ""
    if list(reasons.values()) == [common]:
        (reason,) = reasons
        return (
            f"{pair}: {reason}." if "not tested" in reason else f"{pair} were not tested against each other: {reason}."
        )
    parts = [f"{', '.join(ARMS[arm].short_title for arm in arms)}: {reason}" for reason, arms in reasons.items()]
    return f"{pair} were not tested in all arms: {'; '.join(parts)}."


def _test(first: Predictions, second: Predictions, names: tuple[str, str]) -> PairedTestRecord:
    aligned = second.aligned_with(first)
    assert aligned is not None, "why_not_paired has looked"
    return compare_predictions(first, aligned, Bootstrap.draw(first.patients), names)
