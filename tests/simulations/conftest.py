"""An invented run in a folder of its own."""

from pathlib import Path
from typing import Any

import pytest

from tests.simulations.report.cases import RunFactory
from tests.simulations.report.invented_runs import write_run


@pytest.fixture
def make_run(tmp_path: Path) -> RunFactory:
    """Return `write_run` with a folder of its own for every call."""

    def make(**options: Any) -> Path:
        folder = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        write_run(folder, **options)
        return folder

    return make
