"""All checks of a hospital, in the order in which they are reported."""

from collections.abc import Callable

from client.preflight import duplicates, identifiers, images, labels
from client.preflight.certificates import check_ca_certificate
from client.preflight.connection import diagnose_connection
from client.preflight.findings import Finding, Report, failed
from client.preflight.machine import MACHINE_CHECKS
from client.preflight.survey import Advance, Needs, Survey, survey_images
from client.rules.hospital_file import HospitalFile
from common.dataset.settings import DatasetSettings
from common.errors import InputError

IMAGE_CHECKS: tuple[Callable[[Survey], Finding], ...] = (
    images.check_readable,
    labels.check_classes,
    labels.check_enough_images,
    labels.check_patients_known,
    labels.check_one_class_per_patient,
    duplicates.check_copies,
    duplicates.check_look_alikes,
    images.check_sizes,
    images.check_colours,
    images.check_exposure,
    images.check_burned_in_text,
    identifiers.check_names,
    identifiers.check_metadata,
)


def check_hospital(hospital: HospitalFile, *, offline: bool = False, advance: Advance | None = None) -> Report:
    """Check the machine, the connection and the images.

    Parameters
    ----------
    hospital : HospitalFile
        From `read_hospital_file`.
    offline : bool
        Do not touch the network; the CA certificate is checked all the same.
    advance : callable, optional
        Called after each image with the number of images done, and of all images.

    Returns
    -------
    Report
    """
    machine = [check(hospital) for check in MACHINE_CHECKS]
    connection = [check_ca_certificate(hospital)] if offline else diagnose_connection(hospital)
    return Report(hospital.name, (*machine, *connection, *check_images(hospital, advance)))


def check_images(hospital: HospitalFile, advance: Advance | None = None) -> list[Finding]:
    """Check only the images."""
    try:
        settings = DatasetSettings.of(hospital.data, classes=())
        survey = survey_images(hospital.data.path, settings, needs=_needs(hospital), advance=advance)
    except InputError as error:
        return [failed("images", str(error), "training would refuse them for the same reason")]
    return [check(survey) for check in IMAGE_CHECKS]


def _needs(hospital: HospitalFile) -> Needs:
    data, images = hospital.data, hospital.rules.least_images
    if data.split == "official":  # the data say which image is for what
        return Needs(images)
    train_share = 1 - data.test_fraction
    return Needs(images, train_share, train_share * (1 - data.validation_fraction))
