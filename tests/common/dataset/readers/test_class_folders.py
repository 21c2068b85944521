"""A folder of class folders becomes records, and what is wrong with it is said in one line."""

import hashlib
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.dataset.loading import load_dataset
from common.dataset.settings import DatasetSettings
from tests.common.dataset.written_data import failure, folders, picture
from tests.common.imaging.encoded_images import RAMP, dicom


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
        assert "3 of 4 images look as if their names told the patient (2 of '00012')" in failure(root)
        assert (
            len({record.patient for record in load_dataset(root, DatasetSettings(patient_column="none")).records}) == 4
        )

    @pytest.mark.parametrize("above", ["batch1/", "2023/", "v2/", "batch1/2023/", ""])
    def test_folders_of_patients_below_others(self, tmp_path: Path, above: str) -> None:
        names = {c: [f"{above}{c}{patient}/{i}.png" for patient in range(3) for i in range(2)] for c in ("p", "q")}
        dataset = load_dataset(folders(tmp_path, positive=names["p"], negative=names["q"]))
        assert {record.patient for record in dataset.records} == {f"{c}{patient}" for c in "pq" for patient in range(3)}

    def test_studies_of_few_patients_are_not_taken_for_patients(self, tmp_path: Path) -> None:
        names = [f"study{study}/{i}.png" for study in range(3) for i in range(2)]
        root = folders(tmp_path, positive=[f"A12/{n}" for n in names], negative=[f"B34/{n}" for n in names])
        assert load_dataset(root).patient_source == "each image its own patient"

    def test_folders_of_patients_with_letters_or_of_two(self, tmp_path: Path) -> None:
        for one, other in (("pat_a", "pat_b"), ("P1", "P2")):
            root = folders(tmp_path / one, positive=[f"{one}/1.png", f"{one}/2.png"], negative=[f"{other}/3.png"])
            assert {record.patient for record in load_dataset(root).records} == {one, other}

    @pytest.mark.parametrize(
        ("name", "pattern"), [("P{}{}.png", r"^(.*\d)"), ("P{}_{}.png", "^([^ _.-]+)"), ("P{}/{}.png", "^([^/]+)/")]
    )
    def test_a_proposed_pattern_finds_the_patients_of_this_layout(
        self, tmp_path: Path, name: str, pattern: str
    ) -> None:
        root = folders(tmp_path, positive=[name.format(p, i) for p in range(3) for i in "abc"], negative=["P7.png"])
        assert f"such as '{pattern}', or" in failure(root)
        (root / "negative" / "P7.png").rename(root / "negative" / "P7_1.png")
        if "/" in name:
            (root / "negative" / "P7").mkdir()
            (root / "negative" / "P7_1.png").rename(root / "negative" / "P7" / "1.png")
        patients = {record.patient for record in load_dataset(root, DatasetSettings(patient_pattern=pattern)).records}
        assert {"P0", "P1", "P2"} < patients

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

    def test_patients_who_share_an_image_count_as_one(self, tmp_path: Path) -> None:
        root = folders(tmp_path, positive=["00001_1.png", "00002_1.png", "00003_1.png"], negative=["00004_1.png"])
        picture(root / "positive" / "00002_2.png", 1)
        picture(root / "positive" / "00003_2.png", 2)
        dataset = load_dataset(root)
        patients = {record.name.split("/")[1]: record.patient for record in dataset.records}
        assert {patients[name] for name in patients if name != "00004_1.png"} == {"00001"}
        assert dataset.joined is not None
        assert dataset.joined.startswith("4 images lie identically under several patients; those 3 patients count as 1")

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

    @pytest.mark.parametrize("name", ["1.gif", "1.jp2", "1.nii.gz", "1.pgm"])
    def test_a_class_of_files_that_are_not_read(self, tmp_path: Path, name: str) -> None:
        root = folders(tmp_path, negative=["b.png"], positive=["c.png"])
        (root / "rare").mkdir()
        (root / "rare" / name).write_bytes(b"x")
        suffix = name[1:]
        assert f"class 'rare' is empty, none of its 1 images is used (rare/{name}: {suffix} is not read" in failure(
            root
        )

    def test_every_file_is_counted(self, tmp_path: Path) -> None:
        root = folders(tmp_path, negative=["a.png", "b.jpe", "plain"], positive=["c.png", "c_mask.png", "e.png"])
        for name in ("x.gif", "y.gif", "v.nii.gz", "notes.txt", "Thumbs.db", "README.md"):
            (root / "negative" / name).write_bytes(b"x")
        (root / "positive" / "broken.jpg").write_bytes(b"x")
        picture(root / "positive" / "masks" / "e.png", 99)
        dataset = load_dataset(root)
        names = [record.name for record in dataset.records]
        assert names == ["negative/a.png", "negative/b.jpe", "negative/plain", "positive/c.png", "positive/e.png"]
        assert dataset.files.lines() == [
            "12 files found, 5 used, 6 images left out",
            "left out: 2 .gif: .gif is not read; convert it to PNG",
            "left out: 1 .nii.gz: .nii.gz is not read; convert it to PNG",
            "left out: 1 .jpg: cannot be decoded",
            "left out: 2 .png: lies beside the image of which it is a mask or an annotation",
            "not images: negative/notes.txt",
        ]

    @pytest.mark.parametrize("name", ["a.png.bak", "a.png~", "a.png.tmp", "a.jpg.crdownload"])
    def test_a_copy_of_an_image_is_none(self, tmp_path: Path, name: str) -> None:
        root = folders(tmp_path, negative=["a.png"], positive=["b.png"])
        (root / "negative" / name).write_bytes((root / "negative" / "a.png").read_bytes())
        dataset = load_dataset(root)
        assert len(dataset.records) == 2
        assert dataset.files.others == (f"negative/{name}",)

    def test_a_table_under_another_name_is_said(self, tmp_path: Path) -> None:
        root = folders(tmp_path, negative=["a.png"], positive=["b.png"])
        (root / "metadata.csv").write_text("path,label,patient")
        assert "metadata.csv; of tables only a manifest.csv" in load_dataset(root).files.lines()[-1]

    def test_further_frames_are_said(self, tmp_path: Path) -> None:
        root = folders(tmp_path, negative=["a.png"], positive=["b.png"])
        page = Image.new("L", (8, 8), 50)
        page.save(root / "positive" / "pages.tif", save_all=True, append_images=[page])
        page.save(root / "positive" / "page.tiff")
        frames = dicom(np.stack([RAMP, RAMP]).tobytes(), shape=RAMP.shape, NumberOfFrames=2)
        (root / "negative" / "frames.dcm").write_bytes(frames)
        assert load_dataset(root, DatasetSettings()).files.first_frames == 2
        assert load_dataset(root).notes[-1] == "2 files have several frames or pages, of which only the first is read"

    def test_folders_of_patients(self, tmp_path: Path) -> None:
        names = [f"patient{patient}/slice{index}.png" for patient in range(3) for index in range(2)]
        root = folders(tmp_path, positive=names, negative=[name.replace("patient", "P1") for name in names])
        dataset = load_dataset(root)
        assert dataset.patient_source == "folders below the classes"
        assert len({record.patient for record in dataset.records}) == 6
        by_pattern = load_dataset(root, DatasetSettings(patient_pattern=r"(\w+)/slice"))
        assert len({record.patient for record in by_pattern.records}) == 6
        assert len({r.patient for r in load_dataset(root, DatasetSettings(patient_column="none")).records}) == 12
        picture(root / "negative" / "stray.png", 90)
        assert "told the patient" in failure(root)

    @pytest.mark.parametrize(
        "names",
        [
            ["P01_1", "P01_2", "P02_1", "P02_2", "P03_1", "P03_2"],
            ["12_left", "12_right", "13_left", "13_right", "14_left", "14_right"],
            ["case7-img1", "case7-img2", "case8-img1", "case8-img2", "case9-img1", "case9-img2"],
            [
                "8863_x1_class0",
                "8863_x2_class0",
                "8864_x1_class0",
                "8864_x2_class0",
                "8865_x1_class0",
                "8865_x9_class0",
            ],
            ["slice0_P001", "slice1_P001", "slice0_P002", "slice1_P002", "slice0_P003", "slice1_P003"],
            ["001L", "001R", "002L", "002R", "003L", "003R"],
            ["001pre", "001post", "002pre", "002post", "003pre", "003post"],
            ["left_001", "right_001", "left_002", "right_002", "left_003", "right_003"],
            ["smith_left", "smith_right", "roe_left", "roe_right", "li_left", "li_right"],
            ["kx", "kx_flip", "ly", "ly_aug1", "mz", "mz - Copy"],
            ["P1_CT_day1a", "P1_CT_day2b", "P2_CT_day1a", "P2_MR_day1b", "P3_CT_day1a", "P3_CT_follow-up"],
        ],
    )
    def test_names_that_look_like_patients_are_asked_about(self, tmp_path: Path, names: list[str]) -> None:
        root = folders(tmp_path, positive=[f"{name}.png" for name in names], negative=["other.png"])
        assert "6 of 7 images look as if their names told the patient" in failure(root)

    @pytest.mark.parametrize(
        ("positive", "negative", "pattern"),
        [
            (("smith", "li", "roe"), ("jones", "ek", "wu"), "^([^/]+)/"),
            (("2021/n000", "2021/n001"), ("2022/n002", "2022/x"), "^[^/]+/([^/]+)/"),
            (("2020", "2021", "2022"), ("2020", "2021", "2022"), "^([^/]+)/"),
            (("scanner1", "scanner2", "scanner3"), ("scanner1", "scanner2", "scanner3"), "^([^/]+)/"),
            (("Berlin/P1", "Berlin/P2", "Ulm/P1"), ("Berlin/P3", "Ulm/P2"), "^[^/]+/([^/]+)/"),
            (("smith", "li", "roe", "kim", "cho"), ("smith", "jones", "ek", "wu", "ng"), "^([^/]+)/"),
        ],
    )
    def test_folders_that_may_be_patients_are_asked_about(
        self, tmp_path: Path, positive: tuple[str, ...], negative: tuple[str, ...], pattern: str
    ) -> None:
        def images(names: tuple[str, ...]) -> list[str]:
            return [f"{name}/{number}.png" for name in names for number in "abc"]

        root = folders(tmp_path, positive=images(positive), negative=images(negative))
        assert f"such as '{pattern}', or set data.patient_column to 'none'" in failure(root)
        assert len(load_dataset(root, DatasetSettings(patient_pattern=pattern)).records) == len(
            images((*positive, *negative))
        )

    def test_few_full_folders_are_rather_devices_than_patients(self, tmp_path: Path) -> None:
        images = [f"AKH{number}/{image}.png" for number in (1, 2, 3) for image in "abcdefghijk"]
        root = folders(tmp_path, positive=images, negative=images)
        assert "66 of 66 images look as if their names told the patient" in failure(root)

    def test_subtypes_are_no_patients(self, tmp_path: Path) -> None:
        kinds = {"benign": ("nevus", "keratosis", "dermatofibroma"), "malignant": ("melanoma", "bcc", "scc")}
        images = {name: [f"{kind}/{number}.png" for kind in own for number in "abc"] for name, own in kinds.items()}
        assert load_dataset(folders(tmp_path, **images)).patient_source == "each image its own patient"

    def test_surnames_that_look_like_patients_are_asked_about(self, tmp_path: Path) -> None:
        names = [
            f"{name} {number}.png" for name in ("smith", "van dyke", "Çelik", "li", "roe", "ek") for number in (1, 2)
        ]
        assert "12 of 13 images look as if" in failure(folders(tmp_path, positive=names, negative=["other.png"]))

    def test_the_pattern_that_is_proposed_finds_the_patients(self, tmp_path: Path) -> None:
        names = [f"{patient}_x{x}_class0.png" for patient in (8863, 8864, 8865) for x in range(2)]
        root = folders(tmp_path, positive=names, negative=["other.png"])
        assert "such as '^([^ _.-]+)', or" in failure(root)
        dataset = load_dataset(root, DatasetSettings(patient_pattern="^([^ _.-]+)"))
        assert {record.patient for record in dataset.records} == {"8863", "8864", "8865", "other"}

    @pytest.mark.parametrize(
        "names",
        [
            [f"img_{number:03}" for number in range(8)],
            [f"ISIC_00243{number}" for number in range(10, 18)],
            [f"Y{number}" for number in range(8)],
            [f"set1_{number}" for number in range(8)],
            [f"benign ({number})" for number in range(8)],
            [f"{year}-0{month}-x" for year in (2019, 2020, 2021) for month in range(1, 4)],
            [f"IMG_202001{day}_{minute}x" for day in (10, 11, 12) for minute in (1, 2)],
            [f"{number}_normal" for number in range(8)],
            [f"{source}_{number}" for source in ("left", "right", "kaggle", "isic", "atlas") for number in (1, 2)],
        ],
    )
    def test_a_running_number_is_no_patient(self, tmp_path: Path, names: list[str]) -> None:
        root = folders(tmp_path, positive=[f"{name}.png" for name in names], negative=["other.png"])
        assert load_dataset(root).patient_source == "each image its own patient"

    @pytest.mark.parametrize("hospitals", [("north", "south", "east"), ("site1", "site2"), ("Hospital A", "Clinic B")])
    def test_hospitals_above_the_classes_are_sites(self, tmp_path: Path, hospitals: tuple[str, ...]) -> None:
        names = [f"{label}/{number}.png" for label in ("sick", "healthy") for number in range(2)]
        dataset = load_dataset(folders(tmp_path, **dict.fromkeys(hospitals, names)))
        assert dataset.classes == ("healthy", "sick")
        assert {record.site for record in dataset.records} == set(hospitals)

    def test_hospitals_that_cannot_be_told_from_classes(self, tmp_path: Path) -> None:
        names = [f"{label}/{number}.png" for label in ("alpha", "beta") for number in range(2)]
        root = folders(tmp_path, gamma=names, delta=names)
        assert "nothing tells which of them are the classes" in failure(root)

    def test_the_same_patients_below_each_class_are_no_hospitals(self, tmp_path: Path) -> None:
        names = [f"p{patient}/{number}.png" for patient in range(3) for number in range(2)]
        dataset = load_dataset(folders(tmp_path, positive=names, negative=names))
        assert dataset.classes == ("negative", "positive")
        assert len({record.patient for record in dataset.records}) == 3

    def test_dicom_without_suffix_is_found(self, tmp_path: Path) -> None:
        root = folders(tmp_path, positive=["a.png"], negative=["b.png"])
        (root / "positive" / "IM0001").write_bytes(b"\0" * 128 + b"DICM")
        (root / "positive" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
        assert [each.name for each in load_dataset(root).excluded] == ["positive/IM0001"]

    def test_layouts_that_cannot_be_meant(self, tmp_path: Path) -> None:
        assert "there is no such folder or file; check the path" in failure(tmp_path / "gone")
        assert "nothing is read from the web" in failure(tmp_path / "https:/example.org/images")
        assert "variables are not filled in" in failure(tmp_path / "$HOME/images")
        (tmp_path / "empty" / "positive").mkdir(parents=True)
        assert "no images" in failure(tmp_path / "empty")
        picture(tmp_path / "flat" / "a.png", 1)
        assert "1 images but no class folder" in failure(tmp_path / "flat")
        assert "only the class 'positive'" in failure(folders(tmp_path / "one", positive=["a.png"]))
        assert "splits, not classes" in failure(folders(tmp_path / "split", train=["p/a.png"], test=["p/b.png"]))
        assert "differ only by case" in failure(folders(tmp_path / "case", Sick=["a.png"], sick=["b.png"]))
        (tmp_path / "notes.txt").write_text("x")
        assert "is no folder, .csv, .tsv or .npz" in failure(tmp_path / "notes.txt")

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

    def test_a_link_to_itself_is_left_out_by_name(self, tmp_path: Path) -> None:
        root = folders(tmp_path, positive=["a.png"], negative=["b.png"])
        (root / "positive" / "loop.png").symlink_to("loop.png")
        dataset = load_dataset(root)
        assert len(dataset.records) == 2
        assert [image.name for image in dataset.excluded] == ["positive/loop.png"]

    def test_however_accents_are_coded_a_name_is_one_class(self, tmp_path: Path) -> None:
        mac, windows = (unicodedata.normalize(form, "Läsion") for form in ("NFD", "NFC"))
        root = tmp_path / "data"
        folders(root / "hospital-a", **{"gesund": ["a.png"], mac: ["b.png"]})
        folders(root / "hospital-b", **{"gesund ": ["c.png"], windows: ["d.png"]})
        dataset = load_dataset(root)
        assert dataset.classes == ("gesund", windows)
        assert [record.label for record in dataset.records] == [1, 0, 1, 0]
        agreed = DatasetSettings(classes=("gesund", windows), positive=mac)
        assert load_dataset(root, agreed).classes == ("gesund", windows)
        assert load_dataset(root, DatasetSettings(positive=mac)).classes == ("gesund", windows)

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
