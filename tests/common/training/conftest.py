"""The images that every test of training uses."""

import pytest

from common.dataset.loading import load_dataset
from common.dataset.records import Dataset
from tests.federation.data import manifest


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_dataset(manifest(tmp_path_factory.mktemp("data") / "tiny"))
