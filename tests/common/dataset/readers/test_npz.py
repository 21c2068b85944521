"""An .npz becomes records, and what is wrong with it is said in one line."""

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.dataset.loading import load_dataset
from common.dataset.settings import DatasetSettings
from common.errors import InputError
from common.imaging.limits import ImageLimits
from tests.common.dataset.written_data import failure


class TestNpz:
    @staticmethod
    def write(path: Path, **arrays: Any) -> Path:
        np.savez_compressed(path, **arrays)
        return path

    @staticmethod
    def shades(count: int, *shape: int, start: int = 0) -> Any:
        values = np.arange(start, start + count, dtype=np.uint8).reshape(-1, *[1] * len(shape))
        return np.ascontiguousarray(np.broadcast_to(values, (count, *shape)))

    def test_medmnist(self, tmp_path: Path) -> None:
        path = self.write(
            tmp_path / "breastmnist.npz",
            train_images=self.shades(3, 28, 28), train_labels=np.array([[0], [1], [1]]),
            val_images=self.shades(1, 28, 28, start=3), val_labels=np.array([[0]]),
            test_images=self.shades(2, 28, 28, start=4), test_labels=np.array([[0], [1]]),
        )  # fmt: skip
        dataset = load_dataset(path)
        assert dataset.name == "breastmnist"
        assert dataset.classes == ("0", "1")
        assert [(record.name, record.label) for record in dataset.records] == [
            ("test_images[0]", 0), ("test_images[1]", 1), ("train_images[0]", 0), ("train_images[1]", 1),
            ("train_images[2]", 1), ("val_images[0]", 0),
        ]  # fmt: skip
        pixels = dataset.records[1].source.pixels()
        assert pixels.shape == (28, 28, 3)
        assert (pixels == 5).all()
        pixels[:] = 0  # a copy of its own
        assert (dataset.records[1].source.pixels() == 5).all()
        assert len({record.sha256 for record in dataset.records}) == 6
        assert dataset.patient_source == "each image its own patient"

    def test_plain_with_patients_and_sites(self, tmp_path: Path) -> None:
        path = self.write(
            tmp_path / "x.npz", images=self.shades(3, 8, 9, 3), labels=np.array(["nv", "mel", "nv"]),
            patients=np.array([7, 7, 8]), sites=np.array([b"n", b"s", b"s"]), who=np.array([[1], [2], [3]]),
        )  # fmt: skip
        dataset = load_dataset(path)
        assert dataset.classes == ("nv", "mel")
        assert [record.patient for record in dataset.records] == ["7", "7", "8"]
        assert [record.site for record in dataset.records] == ["n", "n", "s"]
        assert dataset.patient_source == "array 'patients'"
        assert dataset.records[0].source.pixels().shape == (8, 9, 3)
        other = load_dataset(path, DatasetSettings(patient_column="who"))
        assert [record.patient for record in other.records] == ["1", "2", "3"]
        none = load_dataset(path, DatasetSettings(patient_column="none"))
        assert none.patient_source == "each image its own patient"

    @pytest.mark.parametrize("name", ["patient", "patient_id", "groups", "Patients"])
    def test_patients_by_any_usual_name(self, tmp_path: Path, name: str) -> None:
        arrays = {"images": self.shades(4, 8, 8), "labels": np.array([0, 1, 0, 1]), name: np.array([1, 1, 2, 2])}
        dataset = load_dataset(self.write(tmp_path / "x.npz", **arrays, site=np.array(["a", "a", "b", "b"])))
        assert dataset.patient_source == f"array {name!r}"
        assert [(record.patient, record.site) for record in dataset.records] == [
            ("1", "a"),
            ("1", "a"),
            ("2", "b"),
            ("2", "b"),
        ]

    def test_arrays_that_are_not_read_are_said(self, tmp_path: Path) -> None:
        arrays = {"images": self.shades(4, 8, 8), "labels": np.array([0, 1, 0, 1])}
        dataset = load_dataset(self.write(tmp_path / "x.npz", **arrays, masks=np.zeros(4), extra_images=np.zeros(4)))
        assert "arrays that are not read: 'extra_images', 'masks'" in dataset.notes

    def test_arrays_that_cannot_be_used(self, tmp_path: Path) -> None:
        good = {"images": self.shades(4, 8, 8), "labels": np.array([0, 1, 0, 1])}
        validation = {"val_images": good["images"], "val_labels": good["labels"]}
        cases: list[tuple[dict[str, Any], str]] = [
            ({"images": None, "pictures": good["images"]}, "no array 'images' or 'train_images'; the arrays there are"),
            ({"labels": None}, "no array 'labels'"),
            ({"images": self.shades(4, 8, 8, 8)}, "volumes"),
            ({"images": self.shades(4, 8, 8, 8, 1)}, "volumes"),
            ({"images": self.shades(4, 8)}, "rarefed reads pictures"),
            ({"images": self.shades(4, 0, 8)}, "rarefed reads pictures"),
            ({"images": good["images"].astype(np.float32)}, "is of type float32"),
            ({"labels": np.zeros((4, 14), int)}, "14 values an image"),
            ({"labels": np.zeros(3, int)}, "for 4 images"),
            ({"labels": np.array([0.5, 1, 0, 1])}, "is of type float64"),
            ({"labels": np.array(["a", "", "b", "b"])}, "is empty at index 1"),
            ({"labels": np.array(["a", "b", None, "b"], object)}, "Python objects"),
            ({"labels": np.zeros(4, int)}, "only the class '0'"),
            ({"images": self.shades(0, 8, 8), "labels": np.zeros(0, int)}, "no images"),
            ({**validation, "patients": np.arange(4)}, "no array 'val_patients'"),
            ({**validation, "site": np.arange(4)}, "give the site for all"),
            ({"labels": np.array(["a", "nan", "b", "b"])}, "index 1: 'nan' in the column 'labels' is no value"),
            ({"labels": np.array(["0", "00", "1", "1"])}, "the label '00' is written '0'"),
            ({"patients": np.array(["1", "nan", "2", "2"])}, "index 1: 'nan' in the column 'patients' is no value"),
            ({"patients": np.array(["P1", "p1", "2", "2"])}, "the patient 'p1' is written 'P1'"),
            ({"sites": np.array(["a", "A", "b", "b"])}, "the site 'A' is written 'a'"),
            ({"patient_hash": np.arange(4)}, "the array 'patient_hash' may tell the patient"),
            ({"images": np.zeros((4, 8, 8), np.uint8)}, "are the same image"),
        ]  # fmt: skip
        for change, message in cases:
            path = self.write(tmp_path / "x.npz", **{k: v for k, v in {**good, **change}.items() if v is not None})
            assert message in failure(path)
        path = self.write(tmp_path / "x.npz", **good)
        assert "no array 'who'" in failure(path, DatasetSettings(patient_column="who"))
        assert "finds no patient in 'images[0]'" in failure(path, DatasetSettings(patient_pattern="x"))
        assert "more than the limit of 100" in failure(path, limits=ImageLimits(max_archive_bytes=100))
        assert "more pixels in one image" in failure(path, limits=ImageLimits(max_pixels=60))

    def test_damaged_archives(self, tmp_path: Path) -> None:
        path = tmp_path / "x.npz"
        for data in (b"", b"text", b"PK\x03\x04" + b"\0" * 100):
            path.write_bytes(data)
            assert "is no .npz file" in failure(path)
        self.write(path, images=self.shades(4, 8, 8), labels=np.array([0, 1, 0, 1]))
        whole = path.read_bytes()
        generator = np.random.default_rng(5)
        for _ in range(60):
            mutant = bytearray(whole)
            for position in generator.integers(0, len(mutant), 6):
                mutant[position] = generator.integers(0, 256)
            path.write_bytes(bytes(mutant))
            try:
                load_dataset(path)
            except InputError as error:
                assert "\n" not in str(error)  # noqa: PT017 - a mutation may also leave the file sound

    def test_a_header_that_announces_too_much(self, tmp_path: Path) -> None:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**4, 10**4)}
        )
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
            archive.writestr("images.npy", header.getvalue())
        assert re.search("unpacks to 100,000,000,000,000 bytes", failure(tmp_path / "x.npz"))
