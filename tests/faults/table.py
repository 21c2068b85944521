"""What became of each process killed in each phase, for the end of the tests' output."""

OUTCOMES: dict[tuple[str, str], str] = {}


def record(process: str, phase: str, how: str, seconds: float) -> None:
    """Note how a run ended."""
    OUTCOMES[process, phase] = f"{how}, {seconds:.0f} s"


def lines() -> list[str]:
    """Return the table, a row for each process that was killed."""
    processes = list(dict.fromkeys(process for process, _ in OUTCOMES))
    phases = list(dict.fromkeys(phase for _, phase in OUTCOMES))
    width = max(16, *(len(outcome) + 2 for outcome in OUTCOMES.values()))
    head = "killed".ljust(12) + "".join(phase.ljust(width) for phase in phases)
    rows = [
        process.ljust(12) + "".join(OUTCOMES.get((process, phase), "").ljust(width) for phase in phases)
        for process in processes
    ]
    return [head.rstrip(), *(row.rstrip() for row in rows)]
