"""What folders are taken for: classes, hospitals above or below them, or a refusal. Layouts of public data sets."""

from collections import Counter
from pathlib import Path

import pytest

from common.dataset.loading import load_dataset
from common.dataset.settings import DatasetSettings
from tests.common.dataset.written_data import failure, folders

PAIR = ("benign", "malignant")


def tree(root: Path, *leaves: str, images: int = 2) -> Path:
    """Write some images into each folder; no two of them are alike."""
    names = [f"{leaf}/{leaf.replace('/', '_')}{chr(97 + i)}.png" for leaf in leaves for i in range(images)]
    return folders(root, **{".": names})


def crossed(upper: tuple[str, ...], lower: tuple[str, ...]) -> list[str]:
    return [f"{one}/{other}" for one in upper for other in lower]


class TestHospitals:
    @pytest.mark.parametrize(
        "hospitals", [("Basel", "Bern", "Genf"), ("site1", "site2"), ("Cancer Center A", "General Hospital")]
    )
    def test_above_the_classes(self, tmp_path: Path, hospitals: tuple[str, ...]) -> None:
        dataset = load_dataset(tree(tmp_path, *crossed(hospitals, PAIR)))
        assert dataset.classes == PAIR
        assert Counter(record.site for record in dataset.records) == dict.fromkeys(hospitals, 4)
        assert dataset.notes[0].startswith("folders above the classes are taken for hospitals: ")

    @pytest.mark.parametrize("classes", [PAIR, ("mel", "nv", "bcc", "akiec", "df")])
    def test_that_lack_the_rare_class(self, tmp_path: Path, classes: tuple[str, ...]) -> None:
        dataset = load_dataset(tree(tmp_path, *crossed(("Basel", "Bern"), classes), f"Genf/{classes[0]}"))
        assert dataset.classes == tuple(sorted(classes))
        assert {record.site for record in dataset.records} == {"Basel", "Bern", "Genf"}

    def test_with_one_class_each_if_they_are_called_hospitals(self, tmp_path: Path) -> None:
        dataset = load_dataset(tree(tmp_path, "hospital_1/normal", "hospital_2/tumor"))
        assert dataset.classes == ("normal", "tumor")
        assert {record.site for record in dataset.records} == {"hospital_1", "hospital_2"}

    def test_with_patients_below_the_classes(self, tmp_path: Path) -> None:
        patients = ("patient1", "patient2", "patient3")
        leaves = [
            f"{one}/{two}{three}" for one in crossed(("site1", "site2"), PAIR) for two in "/" for three in patients
        ]
        dataset = load_dataset(tree(tmp_path, *leaves))
        assert dataset.patient_source == "folders below the classes"
        assert dataset.classes == PAIR

    def test_below_the_classes(self, tmp_path: Path) -> None:
        dataset = load_dataset(tree(tmp_path, *crossed(("normal", "tumor"), ("hospital_1", "hospital_2"))))
        assert dataset.classes == ("normal", "tumor")
        assert {record.site for record in dataset.records} == {"hospital_1", "hospital_2"}
        assert dataset.notes[0].startswith("folders below the classes are taken for hospitals: ")

    def test_images_beside_the_classes_of_a_hospital_are_left_out(self, tmp_path: Path) -> None:
        dataset = load_dataset(tree(tmp_path, *crossed(("site1", "site2"), PAIR), "site1"))
        assert [image.reason for image in dataset.excluded] == ["lies beside the class folders, not in one"] * 2

    def test_without_classes_are_refused(self, tmp_path: Path) -> None:
        assert "name hospitals, and no folders of classes lie below" in failure(tree(tmp_path, "site1", "site2"))

    def test_without_images_are_refused(self, tmp_path: Path) -> None:
        root = tree(tmp_path, *crossed(("site1", "site2"), PAIR))
        (root / "site3" / "benign").mkdir(parents=True)
        assert "hospital 'site3' is empty, no image lies there" in failure(root)


class TestRefused:
    @pytest.mark.parametrize(
        "leaves",
        [
            crossed(("alpha", "beta"), ("gamma", "delta")),
            crossed(("Basel", "Bern"), ("classA", "classB")),
            crossed(("Basel", "Bern"), ("train", "test")),
            crossed(("Basel", "Bern", "Genf"), ("grade0", "grade1", "grade2")),
            crossed(("Basel", "Bern", "Genf"), ("0", "1", "2")),
            crossed(("Basel", "Bern"), ("type1", "type2")),
            [*crossed(("Basel", "Bern"), ("G1", "G2")), "Genf/G1", "Basel"],
            [f"{one}/{two}" for one in crossed(("Basel", "Bern"), ("P1", "P2")) for two in PAIR],
            [
                "XR_WRIST/patient1/study1_positive",
                "XR_WRIST/patient2/study1_negative",
                "XR_HAND/patient3/study1_negative",
            ],
            [*crossed(("Basel", "Bern"), PAIR), "benign"],
            [*crossed(("augmented",), PAIR), *PAIR],
            ["colon_sets/colon_aca", "colon_sets/colon_n", "lung_sets/lung_scc", "lung_sets/lung_n"],
        ],
    )
    def test_where_nothing_tells_which_are_the_classes(self, tmp_path: Path, leaves: list[str]) -> None:
        assert "nothing tells which of them are the classes" in failure(tree(tmp_path, *leaves))

    @pytest.mark.parametrize(
        ("first", "what"),
        [
            (("100X", "40X"), "kinds of images"),
            (("left", "right"), "kinds of images"),
            (("CT", "XRAY"), "kinds of images"),
            (("original", "augmented"), "kinds of images"),
            (("P01", "P02"), "patients or classes"),
            (("8863", "8864"), "patients or classes"),
            (("stage0", "stage1"), "patients or classes"),
            (("adenoma", "carcinoma"), "classes"),
        ],
    )
    def test_folders_above_the_classes_that_are_no_hospitals(
        self, tmp_path: Path, first: tuple[str, ...], what: str
    ) -> None:
        message = failure(tree(tmp_path, *crossed(first, PAIR)))
        assert f"the former look like {what}, and are not taken for hospitals; rename those that are" in message

    @pytest.mark.parametrize(
        "splits", [("train", "test", "val"), ("Training", "Testing"), ("fold1", "fold2"), ("train", "external_test")]
    )
    @pytest.mark.parametrize("below", ["", "/normal", "/Basel/normal"])
    def test_splits(self, tmp_path: Path, splits: tuple[str, ...], below: str) -> None:
        message = failure(tree(tmp_path, *(split + below for split in splits)))
        assert "are splits, not classes; move their class folders together" in message

    @pytest.mark.parametrize("split", ["test", "holdout", "test_images", "unlabeled", "Testdaten"])
    def test_a_split_beside_two_classes(self, tmp_path: Path, split: str) -> None:
        assert f"its folders {split!r} are splits, not classes" in failure(tree(tmp_path, *PAIR, split))

    def test_classes_that_are_parted_into_splits(self, tmp_path: Path) -> None:
        root = tree(tmp_path, "normal_train", "normal_test", "tumor_train", "tumor_test")
        assert "look like classes and splits at once" in failure(root)

    def test_a_kind_of_images_beside_classes(self, tmp_path: Path) -> None:
        assert "'augmented' looks like a kind of images" in failure(tree(tmp_path, *PAIR, "augmented"))

    def test_patients_below_hospitals(self, tmp_path: Path) -> None:
        leaves = ["site-A/PA1", "site-A/PA2", "site-B/PB1", "site-B/PB2"]
        assert "which look like patients, not classes" in failure(tree(tmp_path, *leaves))

    def test_a_stray_folder_beside_hospitals_of_grades(self, tmp_path: Path) -> None:
        leaves = [*crossed(("site-A", "site-B"), ("grade1", "grade2")), "figures"]
        assert "and 'figures' do not" in failure(tree(tmp_path, *leaves))

    def test_splits_below_hospitals(self, tmp_path: Path) -> None:
        leaves = [f"{one}/{two}" for one in crossed(("site-A", "site-B"), ("train", "test")) for two in PAIR]
        assert "'test', 'train' are splits, not classes" in failure(tree(tmp_path, *leaves))

    def test_patients_between_hospitals_and_classes(self, tmp_path: Path) -> None:
        leaves = [f"{one}/{two}" for one in crossed(("site-A", "site-B"), ("P1", "P2", "P3")) for two in PAIR]
        assert "'benign', 'malignant' lie deeper than 'P1'" in failure(tree(tmp_path, *leaves))

    def test_a_stray_folder_beside_hospitals(self, tmp_path: Path) -> None:
        leaves = [*crossed(("site-A", "site-B"), PAIR), "figures"]
        assert (
            "'site-A', 'site-B' name hospitals, with 'benign', 'malignant' below them, and 'figures' do not"
            in failure(tree(tmp_path, *leaves))
        )

    def test_images_beside_the_hospitals_of_a_class(self, tmp_path: Path) -> None:
        leaves = [*crossed(PAIR, ("site-A", "site-B")), "benign"]
        assert "name hospitals, and in 'benign' images lie beside them" in failure(tree(tmp_path, *leaves))

    def test_splits_beside_another_folder(self, tmp_path: Path) -> None:
        assert f"such as {tmp_path / 'train'}" in failure(tree(tmp_path, *crossed(("test", "train"), PAIR), "figures"))

    @pytest.mark.parametrize(
        "parts", [("HAM10000_images_part_1", "HAM10000_images_part_2"), ("images", "labels"), ("batch1", "data")]
    )
    def test_parts_of_one_set(self, tmp_path: Path, parts: tuple[str, ...]) -> None:
        message = failure(tree(tmp_path, *parts))
        assert "look like parts of one set, not like classes" in message

    @pytest.mark.parametrize(("outer", "inner"), [("Dataset_BUSI_with_GT", PAIR), ("Basel", PAIR), ("images", PAIR)])
    def test_one_folder_around_all(self, tmp_path: Path, outer: str, inner: tuple[str, ...]) -> None:
        assert f"are the classes, give {tmp_path / outer}" in failure(tree(tmp_path, *crossed((outer,), inner)))


class TestClasses:
    @pytest.mark.parametrize("below", [("40X", "100X"), ("x0", "x1"), ("CT", "XRAY"), ("Basel", "Bern")])
    def test_folders_below_them(self, tmp_path: Path, below: tuple[str, ...]) -> None:
        dataset = load_dataset(tree(tmp_path, *crossed(PAIR, below)))
        assert dataset.classes == PAIR
        assert {record.site for record in dataset.records} == {None}
        shown = ", ".join(map(repr, sorted(below)))
        assert dataset.notes == (f"folders below the classes are taken for neither classes nor hospitals: {shown}",)

    @pytest.mark.parametrize("plain", ["images", "img"])
    def test_a_plain_folder_below_them_is_not_worth_a_word(self, tmp_path: Path, plain: str) -> None:
        assert load_dataset(tree(tmp_path, *crossed(PAIR, (plain,)))).notes == ()

    def test_of_one_class_agreed_on(self, tmp_path: Path) -> None:
        root = tree(tmp_path, "malignant/P1", "malignant/P2")
        (root / "benign").mkdir()
        assert load_dataset(root, DatasetSettings(classes=PAIR)).classes == PAIR

    @pytest.mark.parametrize("files", [[], ["notes.txt"], ["table.csv", "x.bin"]])
    def test_without_an_image(self, tmp_path: Path, files: list[str]) -> None:
        root = tree(tmp_path, *PAIR)
        (root / "rare").mkdir()
        for name in files:
            (root / "rare" / name).write_text("x")
        message = failure(root)
        assert "class 'rare' is empty, no image lies there; mend that, or move the folder elsewhere" in message
