"""One data set dealt out to one folder per hospital, for a rehearsal of a real federation on one machine."""

import csv
import io
import shutil
from collections.abc import Sequence
from pathlib import Path

from common.dataset.image_source import FileSource
from common.dataset.loading import list_images
from common.dataset.readers.csv_manifest import MANIFEST_NAME
from common.dataset.records import Dataset, ImageRecord
from common.errors import InputError
from common.system.files import write_text_atomically
from simulations.sites.consortium import SimulatedConsortium


def hand_out(consortium: SimulatedConsortium, folder: Path) -> dict[str, Path]:
    """Copy each simulated hospital's images into a folder of its own, with a `manifest.csv`.

    A hospital that reads its folder has the same images, patients and split as in the simulation, so a federation over
    the folders trains the same weights.

    Parameters
    ----------
    consortium : SimulatedConsortium
        From `load_consortium`.
    folder : Path
        Made if absent; must not hold other hospitals.

    Returns
    -------
    dict of str to Path
        By the hospital's name.

    Raises
    ------
    InputError
        If images do not lie in files of their own, a hospital would not read them as the simulation does, or the folder
        is in use. Nothing is left in the folder then.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty: choose another folder for the hospitals' images")
    classes = consortium.dataset.classes
    places = {site.name: folder / site.name for site in consortium.sites}
    try:
        for site in consortium.sites:
            records = sorted(
                [*site.split.train, *site.split.validation, *site.split.test], key=lambda record: record.name
            )
            _write(places[site.name], records, consortium.dataset)
            _check_read_alike(places[site.name], records, classes)
    except BaseException:
        for place in places.values():
            shutil.rmtree(place, ignore_errors=True)
        raise
    return places


def _write(place: Path, records: Sequence[ImageRecord], dataset: Dataset) -> None:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    split = ["split"] if dataset.split_source else []
    writer.writerow(["path", "label", "patient", *split])
    for record in records:
        if not isinstance(record.source, FileSource):
            raise InputError(f"{record.name} is no file of its own: only folders and manifests can be dealt out")
        target = place / record.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(record.source.path, target)
        part = [record.part] if split else []
        writer.writerow([record.name, dataset.classes[record.label], record.patient, *part])
    write_text_atomically(place / MANIFEST_NAME, table.getvalue())


def _check_read_alike(place: Path, records: Sequence[ImageRecord], classes: Sequence[str]) -> None:
    """Check that a hospital reads from its folder what was written: a manifest is read more strictly than folders."""
    try:
        read = {(image.name, image.label, image.patient) for image in list_images(place).images}
    except InputError as error:
        raise InputError(f"these images cannot be handed out under their names: {error}") from error
    for record in records:
        if (record.name, classes[record.label], record.patient) not in read:
            raise InputError(
                f"these images cannot be handed out under their names: a manifest would not give back {record.name!r} "
                f"of the class {classes[record.label]!r} and the patient {record.patient!r}; rename it"
            )
