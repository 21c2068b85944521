"""What became of each process killed in each phase, for the end of the tests' output."""

from collections.abc import Mapping

PROPERTY = "how a run ended in which a process was killed"
"""Name of the property of a test that holds process, phase and outcome; xdist hands properties on from its workers."""


def lines(outcomes: Mapping[tuple[str, str], str]) -> list[str]:
    """Return the table, a row for each process that was killed.

    Parameters
    ----------
    outcomes : mapping of (str, str) to str
        By process and phase.
    """
    processes = list(dict.fromkeys(process for process, _ in outcomes))
    phases = list(dict.fromkeys(phase for _, phase in outcomes))
    width = max(16, *(len(outcome) + 2 for outcome in outcomes.values()))
    head = "killed".ljust(12) + "".join(phase.ljust(width) for phase in phases)
    rows = [
        process.ljust(12) + "".join(outcomes.get((process, phase), "").ljust(width) for phase in phases)
        for process in processes
    ]
    return [head.rstrip(), *(row.rstrip() for row in rows)]
