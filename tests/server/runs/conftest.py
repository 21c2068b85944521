from pathlib import Path

import pytest

from server.runs.reading import RunView, view_run
from tests.server.runs.written_run import entry, write_run


@pytest.fixture
def view(tmp_path: Path) -> RunView:
    return view_run(
        write_run(tmp_path / "20260101-120000-a.unfinished", [entry(1), entry(2, left_out={"beta": "slow"})])
    )
