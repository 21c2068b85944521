"""A data set dealt out to one folder per hospital is read there as in the simulation, or not dealt out."""

from pathlib import Path

import pytest

from common.dataset.loading import load_dataset
from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from simulations.sites.consortium import SimulatedConsortium, load_consortium
from simulations.sites.export import hand_out
from tests.common.dataset.written_data import folders


def consortium(root: Path, **classes: list[str]) -> SimulatedConsortium:
    folders(root, **classes)
    return load_consortium(TrainingPlan.from_flat({"data.path": str(root), "study.sites": 2}))


def test_a_hospital_reads_what_the_simulation_reads(tmp_path: Path) -> None:
    names = [f"{letter}.png" for letter in "abcdefgh"]
    simulated = consortium(tmp_path / "data", healthy=names, sick=names)
    places = hand_out(simulated, tmp_path / "hospitals")
    for site in simulated.sites:
        records = {record for part in ("train", "validation", "test") for record in getattr(site.split, part)}
        read = load_dataset(places[site.name]).records
        assert {(one.name, one.label, one.patient, one.sha256) for one in read} == {
            (one.name, one.label, one.patient, one.sha256) for one in records
        }


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ({"healthy": ["a.png", "a.PNG", *"bcde"], "sick": list("fghi")}, "'healthy/a.png'"),
        ({"NA": list("abcd"), "sick": list("fghi")}, "'NA'"),
        ({"healthy": list("abcd"), "very  sick": list("fghi")}, "'very  sick"),
    ],
)
def test_names_that_no_manifest_gives_back_are_refused(
    tmp_path: Path, classes: dict[str, list[str]], said: str
) -> None:
    filled = {name: [file if "." in file else f"{file}.png" for file in files] for name, files in classes.items()}
    simulated = consortium(tmp_path / "data", **filled)
    with pytest.raises(InputError, match="cannot be handed out under their names") as refused:
        hand_out(simulated, tmp_path / "hospitals")
    assert said in str(refused.value)
    assert list((tmp_path / "hospitals").glob("*")) == []
