"""All checks of a hospital, in the order in which they are reported."""

from collections.abc import Callable

from client.preflight import duplicates, identifiers, images, labels
from client.preflight.certificates import check_ca_certificate
from client.preflight.connection import diagnose_connection
from client.preflight.findings import Finding, Report, failed
from client.preflight.machine import MACHINE_CHECKS, check_split_salt
from client.preflight.survey import Needs, Survey, survey_images
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


def check_hospital(
    hospital: HospitalFile, images: Callable[[HospitalFile], list[Finding]], *, offline: bool = False
) -> Report:
    """Check the machine, the connection and the images.

    Parameters
    ----------
    hospital : HospitalFile
        From `read_hospital_file`.
    images : callable
        Checks the images: `check_images`, or the same in a process of its own.
    offline : bool
        Do not touch the network; the CA certificate is checked all the same.

    Returns
    -------
    Report
    """
    salt = check_split_salt(hospital)  # to read the images draws one
    image_findings = images(hospital)
    machine = [*(check(hospital) for check in MACHINE_CHECKS), salt]
    connection = [check_ca_certificate(hospital)] if offline else diagnose_connection(hospital)
    return Report(hospital.name, (*machine, *connection, *image_findings))


def check_images(hospital: HospitalFile) -> list[Finding]:
    """Check only the images, in this process."""
    try:
        settings = DatasetSettings.of(hospital.data, classes=())
        survey = survey_images(hospital.data.path, settings, needs=_needs(hospital))
    except InputError as error:
        return [failed("images", str(error), "training would refuse them for the same reason")]
    return [check(survey) for check in IMAGE_CHECKS]


def _needs(hospital: HospitalFile) -> Needs:
    data, images = hospital.data, hospital.rules.least_images
    if data.split == "official":  # the data say which image is for what
        return Needs(images)
    train_share = 1 - data.test_fraction
    return Needs(images, train_share, train_share * (1 - data.validation_fraction))
