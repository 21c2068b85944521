"""Are there enough images of each class, and is it known which images belong to one patient?"""

from collections import Counter, defaultdict

from client.preflight.findings import Finding, failed, passed, warn
from client.preflight.survey import Survey
from common.dataset.classes import describe_guess, order_classes
from common.errors import InputError
from common.system.wording import first_few, plural

_TINY_CLASS = 5


def check_classes(survey: Survey) -> Finding:
    """Check that there are at least two classes, and images of each; say what was guessed from the names."""
    counts = Counter(picture.label for picture in survey.pictures)
    found = ", ".join(f"{label}: {counts[label]}" for label in survey.labels)
    try:
        classes = order_classes(str(survey.path), survey.labels, survey.settings.positive)
    except InputError as error:
        return failed(
            "classes", str(error), "correct the labels or data.positive, or add images of the class that is missing"
        )
    if empty := [label for label in survey.labels if not counts[label]]:
        return failed("classes", f"{found}; no image of {first_few(empty)} can be read", "export those images anew")
    told = (found, describe_guess(classes, survey.settings.positive), survey.remark)
    found = "; ".join(part for part in told if part)
    if tiny := [label for label in survey.labels if counts[label] < _TINY_CLASS]:
        mend = f"with fewer than {_TINY_CLASS} images, neither training nor scores can be trusted; add some"
        return warn("classes", f"{found}; few of {first_few(tiny)}", mend)
    return passed("classes", found)


def check_enough_images(survey: Survey) -> Finding:
    """Compare the images that are left to train on with the hospital's own rule."""
    there, needs = len(survey.pictures), survey.needs
    train, fewest = round(there * needs.train_share), round(there * needs.least_train_share)
    found = f"{plural(there, 'readable image')}, about {train} to train on and {there - train} to test"
    asked = f"rules.least_images asks for {needs.images} to train on"
    if train < needs.images:
        return failed("enough images", f"{found}; {asked}", "add images; the hospital would train nothing")
    if fewest < needs.images:
        found = f"{found}, {fewest} to train on where a plan holds patients back"
        return warn("enough images", f"{found}; {asked}", "add images, or lower rules.least_images")
    return passed("enough images", f"{found}; {asked}")


def check_patients_known(survey: Survey) -> Finding:
    """Check that the images of one patient can be kept together."""
    if not survey.patients_known:
        found = "nothing tells which images are of one patient: each counts as a patient of its own"
        mend = "add a column `patient` with any pseudonym to manifest.csv, or set data.patient_pattern; it never leaves"
        return warn("patients", found, mend)
    patients = len({picture.patient for picture in survey.pictures})
    return passed("patients", f"{plural(patients, 'patient')}, by {survey.patient_source}")


def check_one_class_per_patient(survey: Survey) -> Finding:
    """List the patients who have images in several classes."""
    labels = defaultdict(set)
    for picture in survey.pictures:
        if picture.patient is not None:
            labels[picture.patient].add(picture.label)
    several = sorted(patient for patient, known in labels.items() if len(known) > 1)
    if several:
        found = f"{plural(len(several), 'patient')} with images in several classes: {first_few(several)}"
        return warn("one class per patient", found, "right for several lesions or visits; else correct the labels")
    return passed("one class per patient", "no patient is in two classes")
