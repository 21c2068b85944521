"""What a data set is taken for, in sentences and tables: classes, patients, sites, sizes, what is left out."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from client.preflight.survey import Picture, Survey
from common.dataset.records import Dataset
from common.system.wording import plural
from simulations.analysis.dataset_record import describe_dataset
from simulations.report.tables.table import Cell, Row, Table, plain_cells
from simulations.sites.consortium import SimulatedConsortium

_MOST_COLUMNS = 6


def describe_reading(consortium: SimulatedConsortium) -> list[str]:
    """Return what the data set is taken for: its size, the disease, the patients, the sites."""
    dataset = consortium.dataset
    patients = len({record.patient for record in dataset.records})
    synthetic = " (synthetic)" if consortium.synthetic else ""
    return [
        f"{dataset.name}{synthetic}: {plural(len(dataset.records), 'image')} of {plural(patients, 'patient')}",
        f"patients: {dataset.patient_source}",
        _tell_disease(dataset),
        f"{plural(len(consortium.sites), 'site')}, {_PARTITIONS.get(consortium.partition, consortium.partition)}",
        *(note for note in consortium.notes if note != dataset.class_guess),
    ]


def describe_survey(survey: Survey) -> list[str]:
    """Return what was read where a run would refuse the data: the classes as they are written, and the patients."""
    counts = Counter(picture.label for picture in survey.pictures)
    return [
        f"{survey.path.name}: {plural(len(survey.pictures), 'image')} can be read",
        f"classes as they are written: {', '.join(f'{label!r} ({counts[label]})' for label in survey.labels)}",
        f"patients: {survey.patient_source}",
    ]


def classes_table(consortium: SimulatedConsortium, survey: Survey) -> Table:
    """Return the images of each class: how many, of how many patients, and what they look like."""
    dataset = consortium.dataset
    patients: defaultdict[int, set[str]] = defaultdict(set)
    for record in dataset.records:
        patients[record.label].add(record.patient)
    images = Counter(record.label for record in dataset.records)
    rows = []
    for label, name in enumerate(dataset.classes):
        pictures = [picture for picture in survey.pictures if picture.label == name]
        note = ("healthy", "the disease")[label] if len(dataset.classes) == 2 else ""
        rows.append(
            Row(
                [
                    Cell(name, note),
                    *plain_cells(str(images[label]), str(len(patients[label])), *_looks(pictures)),
                ]
            )
        )
    columns = plain_cells("Class", "Images", "Patients", "Sides in pixels", "Coloured")
    caption = "Sizes or colours that differ between classes may be what a network learns instead of the disease."
    return Table("classes", "Classes", columns, rows, caption)


def sites_table(consortium: SimulatedConsortium) -> Table:
    """Return the images of each site: of each class, and of each set of the first split."""
    record = describe_dataset(consortium)
    classes = record.classes if len(record.classes) <= _MOST_COLUMNS else []
    columns = plain_cells("Site", "Images", "Patients", *classes, "Training", "Validation", "Test")
    rows = [
        Row(
            plain_cells(
                site.name,
                str(site.images),
                str(site.patients),
                *(str(site.per_class[name]) for name in classes),
                *map(str, (site.train, site.validation, site.test)),
            )
        )
        for site in record.sites
    ]
    return Table("sites", "Sites", columns, rows)


def _looks(pictures: Sequence[Picture]) -> tuple[str, str]:
    """Return the range of the sides of some images, and how many of them are coloured."""
    if not pictures:
        return "", ""
    sides = [side for picture in pictures for side in (picture.width, picture.height)]
    span = str(min(sides)) if min(sides) == max(sides) else f"{min(sides)}–{max(sides)}"
    return span, str(sum(picture.colour for picture in pictures))


def _tell_disease(dataset: Dataset) -> str:
    classes = dataset.classes
    if len(classes) != 2:
        return f"{len(classes)} classes, none of which is taken for the disease"
    told = f"the disease is {classes[1]!r}, healthy is {classes[0]!r}"
    return f"{told} ({dataset.class_guess})" if dataset.class_guess else told


_PARTITIONS = {
    "natural": "as the data name them",
    "iid": "dealt out at random, all alike",
    "dirichlet": "dealt out at random, with unequal classes and sizes",
    "quantity-skew": "dealt out at random, with unequal sizes",
}
