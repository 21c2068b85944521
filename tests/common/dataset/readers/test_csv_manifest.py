"""A CSV manifest becomes records, and what is wrong with it is said in one line."""

from pathlib import Path

import pytest

from common.dataset.loading import load_dataset
from common.dataset.settings import DatasetSettings
from common.imaging.limits import ImageLimits
from tests.common.dataset.written_data import failure, labels, picture, table


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
