"""The split that a data set brings is used where it is asked for, as it is, and never without a word."""

import csv
from pathlib import Path

import numpy as np
import pytest

from client.rules.policy import HospitalFailure
from client.training.local_data import local_plan, local_site
from common.dataset.loading import load_dataset
from common.dataset.settings import DatasetSettings
from common.dataset.splits import Split
from common.errors import InputError
from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from simulations.preflight.reading import describe_reading
from simulations.sites.consortium import SimulatedConsortium, load_consortium
from simulations.sites.export import hand_out
from simulations.study.description import describe_variant
from simulations.study.variants import Variant
from tests.client.hospital import write_hospital
from tests.common.dataset.written_data import failure, picture

PARTS = ["Train"] * 8 + ["valid"] * 4 + ["TEST"] * 4


def manifest(
    root: Path,
    parts: list[str],
    column: str = "split",
    patients: list[str] | None = None,
    sites: list[str] | None = None,
) -> Path:
    """Write one image per part, of alternating classes."""
    root.mkdir()
    with (root / "manifest.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "patient", "site", column])
        for number, part in enumerate(parts):
            picture(root / f"{number:02}.png", number)
            patient = patients[number] if patients else f"p{number}"
            site = sites[number] if sites else "north"
            writer.writerow([f"{number:02}.png", ("healthy", "sick")[number % 2], patient, site, part])
    return root


def medmnist(path: Path) -> Path:
    images = np.arange(160, dtype=np.uint8).reshape(160, 1, 1) * np.ones((1, 8, 8), np.uint8)
    images[:, 0, 0] = np.arange(160)
    labels = (np.arange(160) % 2)[:, None]
    ends = {"train": slice(0, 100), "val": slice(100, 120), "test": slice(120, 160)}
    np.savez(path, **{f"{part}_{what}": values[rows] for part, rows in ends.items()
                      for what, values in (("images", images), ("labels", labels))})  # fmt: skip
    return path


def consortium(data: Path, **changes: Scalar) -> SimulatedConsortium:
    given = {f"data.{key}": value for key, value in {"split": "official", "denoise": "none", **changes}.items()}
    return load_consortium(TrainingPlan.from_flat({"data.path": str(data), **given}))


def names(split: Split) -> list[list[str]]:
    return [[record.name for record in part] for part in (split.train, split.validation, split.test)]


def test_a_column_is_honoured_and_said(tmp_path: Path) -> None:
    found = consortium(manifest(tmp_path / "data", PARTS), validation_fraction=0.15)
    files = [f"{number:02}.png" for number in range(16)]
    assert names(found.sites[0].split) == [files[:8], files[8:12], files[12:]]
    told = "split as the data say (column 'split': 8 training, 4 validation, 4 test images)"
    assert found.notes == (told,)


def test_the_parts_of_an_archive_are_honoured(tmp_path: Path) -> None:
    path = medmnist(tmp_path / "tiny.npz")
    official = {"data.split": "official", "data.validation_fraction": 0.15, "study.sites": 1}
    plan = TrainingPlan.from_flat({"data.path": str(path), **official})
    split = load_consortium(plan).sites[0].split
    assert {name.split("[")[0] for name in names(split)[0]} == {"train_images"}
    assert [len(part) for part in names(split)] == [100, 20, 40]
    assert {name.split("[")[0] for name in names(split)[2]} == {"test_images"}
    dealt = load_consortium(plan.changed({"study.sites": 3}))
    assert sorted(record.name for record in dealt.pooled("test")) == sorted(names(split)[2])


def test_by_default_it_is_not_used_but_said_where_a_run_and_a_check_begin(tmp_path: Path) -> None:
    data = manifest(tmp_path / "data", PARTS)
    plan = TrainingPlan.from_flat({"data.path": str(data)})
    without = manifest(tmp_path / "other", [""] * 16)
    same = load_consortium(TrainingPlan.from_flat({"data.path": str(without)})).sites[0].split
    assert names(load_consortium(plan).sites[0].split) == names(same)
    told = "the data bring a split (column 'split': 8 training, 4 validation, 4 test images) that is not used; "
    assert told + "data.split=official tests on it" in describe_variant(Variant(plan))
    assert told + "data.split=official tests on it" in describe_reading(load_consortium(plan))
    assert not any("split" in note for note in load_consortium(plan.changed({"data.path": str(without)})).notes)


@pytest.mark.parametrize(("fraction", "sizes"), [(0.25, [8, 4, 4]), (0, [12, 0, 4])])
def test_without_a_validation_part_patients_are_drawn_from_training(
    tmp_path: Path, fraction: float, sizes: list[int]
) -> None:
    parts = ["train"] * 12 + ["test"] * 4
    found = consortium(manifest(tmp_path / "data", parts), validation_fraction=fraction)
    split = found.sites[0].split
    assert [len(part) for part in names(split)] == sizes
    assert {record.label for record in split.validation} <= {0, 1}
    assert not {record.patient for record in split.train} & {record.patient for record in split.validation}
    assert ("drawn from its training images" in found.notes[0]) == (fraction > 0)


def test_who_is_not_held_back_is_trained_on(tmp_path: Path) -> None:
    found = consortium(manifest(tmp_path / "data", PARTS), validation_fraction=0)
    assert [len(part) for part in names(found.sites[0].split)] == [12, 0, 4]
    assert "without holding anyone back for validation" in found.notes[0]


def test_patients_and_images_on_both_sides_are_counted_and_stay_there(tmp_path: Path) -> None:
    patients = [f"p{number}" for number in range(16)]
    patients[12] = "p0"
    data = manifest(tmp_path / "data", PARTS, patients=patients)
    (data / "15.png").write_bytes((data / "03.png").read_bytes())
    found = consortium(data, validation_fraction=0.15)
    assert [len(part) for part in names(found.sites[0].split)] == [8, 4, 4]
    assert found.notes[-1] == (
        "2 patients in more than one part of that split, with 2 of its 4 test images (1 identical to an image of "
        "another part): what is tested on them is too good"
    )


class TestColumns:
    def test_a_column_of_folds_or_with_gaps_is_no_split(self, tmp_path: Path) -> None:
        for number, parts in enumerate((["0", "1"] * 8, ["train", ""] * 8, ["test"] * 16)):
            assert load_dataset(manifest(tmp_path / str(number), parts, "fold")).split_source is None

    def test_a_named_column_must_be_there_and_name_parts(self, tmp_path: Path) -> None:
        data = manifest(tmp_path / "data", ["train"] * 15 + ["later"], "moment")
        settings = DatasetSettings(split_column="Moment")
        assert "row 17: 'later' in the column 'moment' is no part; write train, validation or test" in failure(
            data, settings
        )
        assert "no split column 'when'" in failure(data, DatasetSettings(split_column="when"))

    def test_the_usual_names(self, tmp_path: Path) -> None:
        for number, column in enumerate(("Split", "fold", "data_split", "Train/Test")):
            dataset = load_dataset(manifest(tmp_path / str(number), PARTS, column))
            assert dataset.split_source == f"column {column!r}"


def test_data_without_a_split_are_refused_in_one_line(tmp_path: Path) -> None:
    data = manifest(tmp_path / "data", [""] * 16)
    with pytest.raises(InputError, match=r"^data\.split = official: data brings no split; name each image's part"):
        consortium(data)


def test_a_site_without_training_images_is_refused(tmp_path: Path) -> None:
    sites = ["north"] * 12 + ["south"] * 4
    with pytest.raises(InputError, match=r"^south: none of its 4 images is for training"):
        consortium(manifest(tmp_path / "data", PARTS, sites=sites))


def test_a_hospital_splits_what_it_was_handed_as_the_simulation_does(tmp_path: Path) -> None:
    found = consortium(manifest(tmp_path / "data", ["train"] * 12 + ["test"] * 4))
    place = hand_out(found, tmp_path / "hospitals")["north"]
    hospital = write_hospital(tmp_path / "north", place, data={"path": str(place), "split": "official"})
    flat: dict[str, Scalar] = {"data.size": 64, "model.weights": "none"}
    plan = local_plan(TrainingPlan.from_flat(flat), hospital)
    assert names(local_site(plan, hospital, seed=7).split) == names(found.sites[0].split)


def test_a_hospital_without_a_split_says_so(tmp_path: Path) -> None:
    data = manifest(tmp_path / "data", [""] * 16)
    hospital = write_hospital(tmp_path / "north", data, data={"path": str(data), "split": "official"})
    plan = local_plan(TrainingPlan(), hospital)
    with pytest.raises(HospitalFailure, match="brings no split"):
        local_site(plan, hospital, seed=7)
