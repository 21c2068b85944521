"""The data sets beside the project are read whole."""

import pytest

from common.dataset.loading import load_dataset
from tests.places import SHARED


class TestRealData:
    @pytest.mark.parametrize(
        ("name", "patients", "source"),
        [("skin200", 200, "column 'lesion_id'"), ("cxr200", 179, "file names by pattern")],
    )
    def test_counts(self, name: str, patients: int, source: str) -> None:
        if not (SHARED / name).is_dir():
            pytest.skip(f"needs the data set {name} beside the project")
        dataset = load_dataset(SHARED / name)
        assert dataset.classes == ("negative", "positive")
        assert [sum(record.label == label for record in dataset.records) for label in (0, 1)] == [90, 110]
        assert len({record.patient for record in dataset.records}) == patients
        assert source in dataset.patient_source
        assert dataset.excluded == ()
