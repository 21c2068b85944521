"""A folder of class folders becomes records, and what is wrong with it is said in one line."""

import hashlib
import os
from pathlib import Path

import pytest

from common.dataset.loading import load_dataset
from common.dataset.settings import DatasetSettings
from tests.common.dataset.written_data import failure, folders, picture


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
