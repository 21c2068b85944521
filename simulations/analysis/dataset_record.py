"""What the summary says about the images and sites of a study."""

import numpy as np

from client.training.site import Site
from common.summary.summary import DatasetRecord, ExcludedRecord, SiteRecord
from simulations.sites.consortium import SimulatedConsortium


def describe_dataset(consortium: SimulatedConsortium) -> DatasetRecord:
    """Return the counts of images and patients of a data set and of each of its sites."""
    dataset = consortium.dataset
    return DatasetRecord(
        name=dataset.name,
        synthetic=consortium.synthetic,
        images=len(dataset.records),
        classes=list(dataset.classes),
        patients=len({record.patient for record in dataset.records}),
        patient_source=dataset.patient_source,
        partition=consortium.partition,
        class_guess=dataset.class_guess,
        notes=list(consortium.notes),
        excluded=[ExcludedRecord(name=image.name, reason=image.reason) for image in dataset.excluded],
        digest=consortium.digest,
        sites=[_describe_site(site, dataset.classes) for site in consortium.sites],
    )


def _describe_site(site: Site, classes: tuple[str, ...]) -> SiteRecord:
    records = [*site.split.train, *site.split.validation, *site.split.test]
    counts = np.bincount([record.label for record in records], minlength=len(classes))
    return SiteRecord(
        name=site.name,
        images=len(records),
        patients=len({record.patient for record in records}),
        per_class={name: int(count) for name, count in zip(classes, counts, strict=True)},
        train=len(site.split.train),
        validation=len(site.split.validation),
        test=len(site.split.test),
    )
