"""Small pictures of the images of each class as the network sees them without augmentation: resized and filtered."""

import base64
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2

from common.dataset.records import ImageRecord
from common.imaging.preprocess import resize_and_denoise, shrink
from common.plan.training_plan import TrainingPlan
from simulations.sites.consortium import SimulatedConsortium

_SIDE, _QUALITY = 112, 80
_MOST = 240
"""Of all classes together; at some 5 kB each the page stays below 2 MB."""
_THREADS = 4


@dataclass(frozen=True)
class Thumbnail:
    """One image on a contact sheet.

    Attributes
    ----------
    name, patient, site : str
        As read.
    picture : str
        A JPEG as a `data:` address.
    """

    name: str
    patient: str
    site: str
    picture: str


@dataclass(frozen=True)
class Sheet:
    """The sample of one class.

    Attributes
    ----------
    label : str
        The class.
    images : int
        How many images it has, shown or not.
    thumbnails : tuple of Thumbnail
        Sorted by site and name.
    """

    label: str
    images: int
    thumbnails: tuple[Thumbnail, ...]


def draw_sheets(consortium: SimulatedConsortium, plan: TrainingPlan) -> list[Sheet]:
    """Draw a sample of each class: all images, or the same ones each time.

    Parameters
    ----------
    consortium : SimulatedConsortium
        The images and the sites that they are dealt out to.
    plan : TrainingPlan
        The sides of its first family, `data.denoise` and `augmentation.read_scale` are read.
    """
    dataset = consortium.dataset
    site_of = {
        record.name: site.name
        for site in consortium.sites
        for record in (*site.split.train, *site.split.validation, *site.split.test)
    }

    def draw(record: ImageRecord) -> Thumbnail:
        return Thumbnail(record.name, record.patient, site_of[record.name], _picture(record, plan))

    most = max(1, _MOST // len(dataset.classes))
    sheets = []
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="thumbnail") as pool:
        for label, name in enumerate(dataset.classes):
            records = [record for record in dataset.records if record.label == label]
            chosen = sorted(_sample(records, most), key=lambda record: (site_of[record.name], record.name))
            sheets.append(Sheet(name, len(records), tuple(pool.map(draw, chosen))))
    return sheets


def _sample(records: Sequence[ImageRecord], most: int) -> list[ImageRecord]:
    """Return at most so many records, chosen by their content, so that the choice is fixed and follows no order."""
    return sorted(records, key=lambda record: hashlib.sha256(record.sha256.encode()).digest())[:most]


def _picture(record: ImageRecord, plan: TrainingPlan) -> str:
    size = plan.size_for(plan.families[0])
    seen = shrink(resize_and_denoise(record.source.pixels(), plan.data, plan.augmentation.read_side(size)), size)
    seen = shrink(seen, min(size, _SIDE))
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(seen, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"
