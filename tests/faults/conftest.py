"""A stage for each module, and the table of killed processes at the end."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults import table
from tests.faults.harness import ALL_MUST, Stage, stage, weights_of


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A consortium of two hospitals that is online."""
    with stage(tmp_path_factory.mktemp("stage")) as prepared:
        yield prepared


@pytest.fixture(scope="module")
def undisturbed(theatre: Stage) -> str:
    """The weights of a run that nobody disturbs."""
    return weights_of(theatre.finish_undisturbed(ALL_MUST))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print how each run ended in which a process was killed."""
    outcomes = {
        (value[0], value[1]): value[2]
        for report in terminalreporter.stats.get("passed", [])
        for name, value in report.user_properties
        if name == table.PROPERTY
    }
    if outcomes:
        terminalreporter.write_sep(
            "=", "killed with SIGKILL, by phase: how the run ended; always with the undisturbed weights"
        )
        for line in table.lines(outcomes):
            terminalreporter.write_line(line)
