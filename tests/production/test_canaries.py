"""Words that stand for patients' data are put wherever a hospital could have them; none may leave it."""

import csv
import gzip
import json
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any

import pydicom
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from simulations.local_federation.rehearsal import Rehearsal
from tests.federation.data import dicom, label, picture
from tests.production.recorder import Recorder, disguises, unpacked
from tests.production.small import PLAN, RULES

pytestmark = pytest.mark.slow

PLACES = ("folder", "subfolder", "file", "exif", "text", "patient", "column", "dicom", "label", "server_path", "state")
CANARIES = {place: f"CaNaRy7{place.upper()}9Zq" for place in PLACES}


def leaks(sent: bytes) -> set[str]:
    """Return which canaries are in some bytes, in any disguise."""
    streams = [sent, *unpacked(sent)]
    return {
        f"{place} ({form})"
        for place, word in CANARIES.items()
        for form, pattern in disguises(word).items()
        if any(pattern in stream or pattern.lower() in stream for stream in streams)
    }


@pytest.mark.parametrize(
    "hidden",
    [
        CANARIES["file"].encode(),
        CANARIES["file"].encode("utf-16-le"),
        CANARIES["file"].encode().hex().encode(),
        b64encode(CANARIES["file"].encode()),
        b64encode(b"x" + CANARIES["file"].encode()),
        zlib.compress(CANARIES["file"].encode()),
        gzip.compress(b"abc" + CANARIES["file"].encode()),
    ],
    ids=["plain", "utf-16", "hexadecimal", "base64", "base64 shifted", "zlib", "gzip"],
)
def test_the_search_finds_what_is_hidden(hidden: bytes) -> None:
    assert leaks(bytes(1000) + hidden + bytes(1000))
    assert not leaks(bytes(2000))


def write_images(root: Path) -> Path:
    """Write a hospital's images with a canary in every place that a name can hide."""
    folder = root / CANARIES["folder"]
    inner = folder / CANARIES["subfolder"]
    inner.mkdir(parents=True)
    columns = ["path", "label", "patient", CANARIES["column"]]
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        for number in range(24):
            path = inner / f"{CANARIES['file']}_{number}{'.jpg' if number % 3 else '.png'}"
            image = Image.fromarray(picture(number))
            if number % 3:
                exif = image.getexif()
                exif[0x010E] = exif[0x013B] = f"{CANARIES['exif']} {number}"
                image.save(path, quality=95, exif=exif)
            else:
                info = PngInfo()
                info.add_text("Comment", f"{CANARIES['text']} {number}")
                image.save(path, pnginfo=info)
            name = str(path.relative_to(folder))
            writer.writerow([name, ("healthy", "sick")[label(number)], f"{CANARIES['patient']}{number}", number])
    return folder


def write_dicom(root: Path) -> Path:
    folder = dicom(root / f"dicom-{CANARIES['folder']}")
    for path in folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.PatientName, dataset.InstitutionName = CANARIES["dicom"], CANARIES["dicom"]
        dataset.PatientID, dataset.StudyDescription = CANARIES["dicom"], CANARIES["dicom"]
        dataset.save_as(path)
        path.rename(path.with_stem(f"{path.stem}-{CANARIES['file']}"))
    for old, new in (("negative", "healthy"), ("positive", "sick")):
        (folder / old).rename(folder / new)
    return folder


def test_no_word_of_a_patient_leaves_a_hospital(tmp_path: Path) -> None:
    images = {"north": write_images(tmp_path), "south": write_dicom(tmp_path)}
    with Rehearsal(
        tmp_path / "consortium", images, print, tmp_path / "runs", dict.fromkeys(images, RULES)
    ) as rehearsal:
        rehearsal.provision()
        for hospital in images:
            rehearsal.join(hospital)
        pki = rehearsal.server.folder / "pki"
        with Recorder(pki / "gateway.crt", pki / "gateway.key", pki / "ca.crt", rehearsal.server.port) as recorder:
            rehearsal.server.start()
            for hospital in images:
                change: dict[str, Any] = {"server": f"localhost:{recorder.port}", "state": CANARIES["state"]}
                key = rehearsal.hospitals[hospital].folder / "state"
                key.rename(key.with_name(CANARIES["state"]))
                rehearsal.hospitals[hospital].change(change)
                rehearsal.hospitals[hospital].start()
            wait_online(rehearsal, images)
            assert rehearsal.server.run(PLAN) == 0
            rounds = json.loads((rehearsal.server.runs / "latest" / "summary.json").read_bytes())["cost"]["rounds"]
            assert rounds == PLAN["federation.rounds"]
            # And when things go wrong: images that cannot be read, labels that nobody agreed on.
            spoil(images["north"], images["south"])
            assert rehearsal.server.run(PLAN) == 1
        told = "".join(path.read_text() for path in rehearsal.server.runs.glob("*/run.log"))
    assert "failed: data" in told
    for hospital in images:
        assert CANARIES["label"] in logs_of(rehearsal.hospitals[hospital].folder) or CANARIES["file"] in logs_of(
            rehearsal.hospitals[hospital].folder
        )
    sent = b"\n".join(bytes(each) for each in recorder.sent)
    assert len(sent) > 40_000_000, "two hospitals, two rounds, 10 MB each"
    assert leaks(sent) == set()
    assert leaks(told.encode()) == set()


def spoil(folder: Path, dicoms: Path) -> None:
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",sick,", f",{CANARIES['label']},"))
    for path in dicoms.rglob("*.dcm"):
        path.write_bytes(path.read_bytes()[:300])


def wait_online(rehearsal: Rehearsal, hospitals: Any) -> None:
    def online(hospital: str) -> bool:
        path = rehearsal.hospitals[hospital].folder / CANARIES["state"] / "daemon.json"
        return path.exists() and bool(json.loads(path.read_bytes())["online"])

    for hospital in hospitals:
        rehearsal.processes.wait_for(f"{hospital} to be online", lambda hospital=hospital: online(hospital))


def logs_of(place: Path) -> str:
    return "".join(path.read_text() for path in (place / CANARIES["state"] / "logs").glob("*.log"))
