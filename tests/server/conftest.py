from pathlib import Path

import pytest

from tests.server.coordinator import Coordinator


@pytest.fixture
def coordinator(tmp_path: Path) -> Coordinator:
    return Coordinator(tmp_path)
