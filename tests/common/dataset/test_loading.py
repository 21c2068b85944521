"""A hospital's data in each layout becomes the same kind of records, and what is wrong with it is said in one line."""

import hashlib
import io
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from common.dataset.loading import load_dataset
from common.dataset.records import Dataset
from common.dataset.settings import DatasetSettings
from common.errors import InputError
from common.imaging.limits import ImageLimits
from tests.places import SHARED


def picture(path: Path, shade: int, size: int = 8) -> Path:
    """Write a small picture; equal shades have equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (size, size), shade).save(path, "PNG")
    return path


def folders(root: Path, **classes: list[str]) -> Path:
    shade = 0
    for label, names in classes.items():
        for name in names:
            shade += 1
            picture(root / label / name, shade)
    return root


def table(root: Path, text: str, name: str = "manifest.csv", encoding: str = "utf-8") -> Path:
    for shade, image in enumerate(("a.png", "b.png", "c.png", "d.png")):
        picture(root / "pix" / image, shade)
    (root / name).write_bytes(text.encode(encoding))
    return root


def failure(path: Path, settings: DatasetSettings = DatasetSettings(), limits: ImageLimits = ImageLimits()) -> str:  # noqa: B008 - both frozen
    with pytest.raises(InputError) as caught:
        load_dataset(path, settings, limits)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


def labels(dataset: Dataset) -> dict[str, str]:
    return {record.name: dataset.classes[record.label] for record in dataset.records}


class TestClassFolders:
    def test_records_are_sorted_and_complete(self, tmp_path: Path) -> None:
        root = folders(tmp_path / "ward", positive=["z.png", "deep/er/y.png"], negative=["a.PNG", "b.png"])
        (root / "positive" / ".hidden.png").write_bytes(b"")
        (root / "positive" / "notes.txt").write_text("not an image")
        (root / ".git").mkdir()
        picture(root / ".git" / "x.png", 9)
        dataset = load_dataset(root)
        assert dataset.name == "ward"
        assert dataset.classes == ("negative", "positive")
        names = ["negative/a.PNG", "negative/b.png", "positive/deep/er/y.png", "positive/z.png"]
        assert [record.name for record in dataset.records] == names
        assert [record.label for record in dataset.records] == [0, 0, 1, 1]
        assert [record.patient for record in dataset.records] == names
        assert {record.site for record in dataset.records} == {None}
        assert dataset.patient_source == "each image its own patient"
        assert dataset.excluded == ()
        first = dataset.records[0]
        assert first.sha256 == hashlib.sha256((root / first.name).read_bytes()).hexdigest()
        assert first.source.pixels().shape == (8, 8, 3)

    def test_numbered_files_tell_the_patient(self, tmp_path: Path) -> None:
        root = folders(tmp_path, positive=["00012_000.png", "00012_001.png"], negative=["00013_002.png"])
        dataset = load_dataset(root)
        assert [record.patient for record in dataset.records] == ["00013", "00012", "00012"]
        assert "pattern" in dataset.patient_source
        own = load_dataset(root, DatasetSettings(patient_pattern="none"))
        assert len({record.patient for record in own.records}) == 3
        picture(root / "negative" / "other.png", 77)
        assert len({record.patient for record in load_dataset(root).records}) == 4

    @pytest.mark.parametrize("pattern", [r"^(\w+)-", r"^\w+(?=-)"])
    def test_a_pattern_with_a_group_or_without(self, tmp_path: Path, pattern: str) -> None:
        root = folders(tmp_path, positive=["ann-1.png", "ann-2.png"], negative=["bob-1.png"])
        dataset = load_dataset(root, DatasetSettings(patient_pattern=pattern))
        assert [record.patient for record in dataset.records] == ["bob", "ann", "ann"]
        picture(root / "negative" / "nobody.png", 70)
        picture(root / "negative" / "noone.png", 71)
        message = failure(root, DatasetSettings(patient_pattern=pattern))
        assert "'negative/nobody.png' and 1 further" in message

    def test_bad_patterns(self, tmp_path: Path) -> None:
        root = folders(tmp_path, positive=["a.png"], negative=["b.png"])
        assert "no regular expression" in failure(root, DatasetSettings(patient_pattern="("))
        assert "2 groups" in failure(root, DatasetSettings(patient_pattern="(a)|(b)"))

    def test_identical_images_of_unknown_patients_count_as_one(self, tmp_path: Path) -> None:
        root = folders(tmp_path, positive=["a.png"], negative=["b.png", "c.png"])
        picture(root / "negative" / "copy of b.png", 2)
        patients = {record.name: record.patient for record in load_dataset(root).records}
        assert patients["negative/copy of b.png"] == patients["negative/b.png"]
        assert len(set(patients.values())) == 3

    def test_unreadable_images_are_left_out_by_name(self, tmp_path: Path) -> None:
        root = folders(tmp_path, positive=["a.png"], negative=["b.png"])
        (root / "positive" / "bad.jpg").write_text("no picture")
        (root / "negative" / "empty.png").write_bytes(b"")
        picture(root / "stray.png", 50)
        dataset = load_dataset(root)
        assert [record.name for record in dataset.records] == ["negative/b.png", "positive/a.png"]
        assert [each.name for each in dataset.excluded] == ["negative/empty.png", "positive/bad.jpg", "stray.png"]
        assert "empty" in dataset.excluded[0].reason
        assert "beside the class folders" in dataset.excluded[2].reason

    def test_a_class_that_runs_empty(self, tmp_path: Path) -> None:
        root = folders(tmp_path, negative=["b.png"])
        for name in ("1.jpg", "2.jpg"):
            (root / "positive").mkdir(exist_ok=True)
            (root / "positive" / name).write_text("no picture")
        message = failure(root)
        assert "class 'positive' is empty, none of its 2 images can be read (positive/1.jpg: " in message

    def test_dicom_without_suffix_is_found(self, tmp_path: Path) -> None:
        root = folders(tmp_path, positive=["a.png"], negative=["b.png"])
        (root / "positive" / "IM0001").write_bytes(b"\0" * 128 + b"DICM")
        (root / "positive" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
        assert [each.name for each in load_dataset(root).excluded] == ["positive/IM0001"]

    def test_layouts_that_cannot_be_meant(self, tmp_path: Path) -> None:
        assert "there is no such folder or file" in failure(tmp_path / "gone")
        (tmp_path / "empty" / "positive").mkdir(parents=True)
        assert "no images" in failure(tmp_path / "empty")
        picture(tmp_path / "flat" / "a.png", 1)
        assert "1 images but no class folder" in failure(tmp_path / "flat")
        assert "only the class 'positive'" in failure(folders(tmp_path / "one", positive=["a.png"]))
        assert "splits, not classes" in failure(folders(tmp_path / "split", train=["p/a.png"], test=["p/b.png"]))
        assert "differ only by case" in failure(folders(tmp_path / "case", Sick=["a.png"], sick=["b.png"]))
        (tmp_path / "notes.txt").write_text("x")
        assert "is no folder, .csv or .npz" in failure(tmp_path / "notes.txt")

    def test_columns_need_a_manifest(self, tmp_path: Path) -> None:
        root = folders(tmp_path, positive=["a.png"], negative=["b.png"])
        assert "no manifest.csv" in failure(root, DatasetSettings(patient_column="lesion"))
        assert "no manifest.csv" in failure(root, DatasetSettings(site_column="clinic"))

    def test_links_stay_inside(self, tmp_path: Path) -> None:
        root = folders(tmp_path / "root", positive=["a.png"], negative=["b.png"])
        outside = picture(tmp_path / "outside.png", 40)
        (root / "positive" / "inner.png").symlink_to(root / "positive" / "a.png")
        assert len(load_dataset(root).records) == 3
        (root / "positive" / "link.png").symlink_to(outside)
        assert "leads out of" in failure(root)
        (root / "positive" / "link.png").unlink()
        (root / "linked").symlink_to(tmp_path)
        assert "links to folders are not followed" in failure(root)

    def test_a_file_name_that_is_no_utf8_can_be_printed(self, tmp_path: Path) -> None:
        root = folders(tmp_path, positive=["a.png"], negative=["b.png"])
        try:
            Path(os.fsdecode(os.fsencode(root / "positive") + b"/\xff.png")).write_bytes(
                (root / "positive/a.png").read_bytes()
            )
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
        for record in load_dataset(root).records:
            record.name.encode()
            assert record.source.pixels().shape == (8, 8, 3)


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


class TestCsv:
    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_dialects(self, tmp_path: Path, separator: str, encoding: str, newline: str) -> None:
        rows = [
            ["note", "path ", "label", "patient_id", "site"],
            ['"häut, x; y"', " pix/b.png", "yes ", "p1", "north"],
            [],
            ["", "pix\\a.png", "no", "p1", "south"],
        ]
        root = table(tmp_path, newline.join(separator.join(row) for row in rows), encoding=encoding)
        dataset = load_dataset(root)
        assert labels(dataset) == {"pix/a.png": "no", "pix/b.png": "yes"}
        assert [record.patient for record in dataset.records] == ["p1", "p1"]
        assert [record.site for record in dataset.records] == ["south", "north"]
        assert dataset.patient_source == "column 'patient_id'"
        assert dataset.name == tmp_path.name

    def test_a_csv_by_its_own_name_and_other_columns(self, tmp_path: Path) -> None:
        root = table(tmp_path, "file,dx,who,clinic\npix/a.png,1,p,n\npix/b.png,0,q,n\n", name="list.csv")
        settings = DatasetSettings("file", "dx", "who", "clinic")
        dataset = load_dataset(root / "list.csv", settings)
        assert dataset.name == "list"
        assert [(r.patient, r.site, r.label) for r in dataset.records] == [("p", "n", 1), ("q", "n", 0)]

    def test_no_patient_column(self, tmp_path: Path) -> None:
        root = table(tmp_path, "path,label,patient\npix/a.png,1,p\npix/b.png,0,p\n")
        none = load_dataset(root, DatasetSettings(patient_column="none"))
        assert [record.patient for record in none.records] == ["pix/a.png", "pix/b.png"]
        by_name = load_dataset(root, DatasetSettings(patient_pattern="."))
        assert [record.patient for record in by_name.records] == ["a", "b"]
        message = failure(root, DatasetSettings(patient_column="patient", patient_pattern="."))
        assert "set one of the two to 'none'" in message

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is empty"),
            ("\n\n", "is empty"),
            ("path,label\n", "no images"),
            ("file,label\npix/a.png,x", "no path column 'path'; the columns there are 'file', 'label'"),
            ("path;dx\npix/a.png;x", "no label column 'label'; the columns there are 'path', 'dx'"),
            ("path,label,label\npix/a.png,x,y", "column 'label' is there 2 times"),
            ("path,label\npix/a.png,\n", "row 2: the column 'label' is empty"),
            ("path,label\npix/a.png\n", "row 2: the column 'label' is empty"),
            ("path,label\n,x\n", "row 2: the column 'path' is empty"),
            ("path,label,patient\npix/a.png,x,p\n\npix/b.png,y,\n", "row 4: the column 'patient' is empty"),
            ("path,label\npix/a.png,x\npix/u.png,y\npix/v.png,y\npix/w.png,y", "row 3: there is no file 'pix/u.png'"),
            ("path,label\npix,x\n", "row 2: there is no file 'pix'"),
            ("path,label\npix/a.png,x\npix/u.png,y\npix/v.png,y\n", "and 1 further rows"),
            ("path,label\npix/a.png,x\npix/b.png,y\npix/../pix/a.png,x\n", "row 4: 'pix/a.png' is in row 2 already"),
            ("path,label\n/etc/hosts,x\n", "row 2: '/etc/hosts' is not a path relative"),
            ("path,label\nC:\\x.png,x\n", "is not a path relative"),
            ("path,label\n..\\x.png,x\n", "row 2: '../x.png' leads out of"),
            ("path,label\npix/../../x.png,x\n", "leads out of"),
            ("path,label\npix/a\0.png,x\n", "is not a path relative"),
            ("path,label\npix/link.png,x\n", "row 2: 'pix/link.png' leads out of"),
            ("path,label\npix/loop.png,x\n", "row 2: "),
            ("path,label\npix/a.png,x,left over\n", "row 2: has 3 cells where the header has 2"),
            ("path,label\npix/a.png,only\n", "only the class 'only'"),
            ("path,label\n" + "x" * 200_000 + ",y\n", "is no CSV file"),
            ("x" * 200_000, "is no CSV file"),
        ],
    )  # fmt: skip
    def test_rows_that_cannot_be_used(self, tmp_path: Path, text: str, message: str) -> None:
        root = table(tmp_path / "root", text)
        (root / "pix" / "link.png").symlink_to(picture(tmp_path / "outside.png", 1))
        (root / "pix" / "loop.png").symlink_to(root / "pix" / "loop.png")
        assert message in failure(root)

    def test_columns_asked_for_must_be_there(self, tmp_path: Path) -> None:
        root = table(tmp_path, "path,label\npix/a.png,x\npix/b.png,y\n")
        there = "the columns there are 'path', 'label'"
        assert f"no patient column 'lesion'; {there}" in failure(root, DatasetSettings(patient_column="lesion"))
        assert f"no site column 'clinic'; {there}" in failure(root, DatasetSettings(site_column="clinic"))

    def test_not_utf8_and_too_large(self, tmp_path: Path) -> None:
        root = table(tmp_path, "path,label\npix/ä.png,x\n", encoding="latin-1")
        assert "is not UTF-8 text (byte 15)" in failure(root)
        assert "more than the limit" in failure(root, limits=ImageLimits(max_bytes=10))

    def test_dangling_manifest_link(self, tmp_path: Path) -> None:
        (tmp_path / "list.csv").symlink_to(tmp_path / "gone")
        assert "no such folder or file" in failure(tmp_path / "list.csv")


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
        assert dataset.classes == ("mel", "nv")
        assert [record.patient for record in dataset.records] == ["7", "7", "8"]
        assert [record.site for record in dataset.records] == ["n", "s", "s"]
        assert dataset.patient_source == "array 'patients'"
        assert dataset.records[0].source.pixels().shape == (8, 9, 3)
        other = load_dataset(path, DatasetSettings(patient_column="who"))
        assert [record.patient for record in other.records] == ["1", "2", "3"]
        none = load_dataset(path, DatasetSettings(patient_column="none"))
        assert none.patient_source == "each image its own patient"

    def test_arrays_that_cannot_be_used(self, tmp_path: Path) -> None:
        good = {"images": self.shades(4, 8, 8), "labels": np.array([0, 1, 0, 1])}
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
            ({"val_images": good["images"], "val_labels": good["labels"], "patients": np.arange(4)}, "some splits"),
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
