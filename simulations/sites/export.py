"""One data set dealt out to one folder per hospital, for a rehearsal of a real federation on one machine."""

import csv
import io
import shutil
from pathlib import Path

from common.dataset.image_source import FileSource
from common.dataset.readers.csv_manifest import MANIFEST_NAME
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
        If images do not lie in files of their own, or the folder is in use.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty: choose another folder for the hospitals' images")
    places = {}
    for site in consortium.sites:
        places[site.name] = folder / site.name
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        split = ["split"] if consortium.dataset.split_source else []
        writer.writerow(["path", "label", "patient", *split])
        for record in sorted(
            [*site.split.train, *site.split.validation, *site.split.test], key=lambda record: record.name
        ):
            if not isinstance(record.source, FileSource):
                raise InputError(f"{record.name} is no file of its own: only folders and manifests can be dealt out")
            target = places[site.name] / record.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(record.source.path, target)
            part = [record.part] if split else []
            writer.writerow([record.name, consortium.dataset.classes[record.label], record.patient, *part])
        write_text_atomically(places[site.name] / MANIFEST_NAME, table.getvalue())
    return places
