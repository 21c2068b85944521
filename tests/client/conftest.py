"""What several of a hospital's tests share."""

from pathlib import Path

import pytest

from simulations.phantom.data_set import phantom_folder


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole phantom, drawn once: it takes ten seconds."""
    return phantom_folder(tmp_path_factory.mktemp("phantom"))
