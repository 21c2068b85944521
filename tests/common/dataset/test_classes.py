"""The order of the classes, and which of two is the diseased one."""

from pathlib import Path

import pytest

from common.dataset.loading import load_dataset
from common.dataset.settings import DatasetSettings
from tests.common.dataset.written_data import failure, folders, labels, picture


class TestClasses:
    @pytest.mark.parametrize(
        ("names", "expected"),
        [
            (("positive", "negative"), ("negative", "positive")),
            (("Malignant", "benign"), ("benign", "Malignant")),
            (("normal", "covid"), ("normal", "covid")),
            (("0", "1"), ("0", "1")),
            (("1", "2"), ("1", "2")),
            (("alpha", "beta"), ("alpha", "beta")),
            (("yes", "no"), ("no", "yes")),
            (("10", "9", "100"), ("9", "10", "100")),
            (("c", "a", "b"), ("a", "b", "c")),
        ],
    )
    def test_order(self, tmp_path: Path, names: tuple[str, ...], expected: tuple[str, ...]) -> None:
        dataset = load_dataset(folders(tmp_path, **{name: [f"{name}.png"] for name in names}))
        assert dataset.classes == expected
        assert labels(dataset) == {f"{name}/{name}.png": name for name in names}

    def test_the_positive_class_by_name(self, tmp_path: Path) -> None:
        root = folders(tmp_path, alpha=["a.png"], beta=["b.png"])
        assert load_dataset(root, DatasetSettings(positive="Alpha")).classes == ("beta", "alpha")
        assert "positive class 'gamma' is not there; the classes are 'alpha', 'beta'" in failure(
            root, DatasetSettings(positive="gamma")
        )
        picture(root / "gamma" / "c.png", 60)
        assert load_dataset(root, DatasetSettings(positive="alpha")).classes == ("alpha", "beta", "gamma")
        assert "'delta' is not there" in failure(root, DatasetSettings(positive="delta"))

    def test_one_image_with_two_labels(self, tmp_path: Path) -> None:
        root = folders(tmp_path, positive=["a.png"], negative=["b.png"])
        picture(root / "negative" / "copy.png", 1)
        message = failure(root)
        assert "'negative/copy.png'" in message
        assert "'positive/a.png'" in message
