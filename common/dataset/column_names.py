"""What columns of hospitals' tables are called, compared without case, accents, spaces and punctuation."""

import unicodedata
from collections.abc import Sequence

from common.dataset.class_names import split_words
from common.system.wording import words

PATHS = (
    "path filepath file filename imagepath imagefile imagefilename imagefilepath imagename image img imgpath imgname "
    "imageid imgid imageindex picture photo isicid"
)
LABELS = "label class classname classlabel diagnosis dx target category finding groundtruth disease"
PATIENTS = (
    "patient patientid patientno patientnr patientnumber patientkey patientcode patientidentifier subject subjectid "
    "subjectno subjectnumber subjectkey subjectcode person personid participant participantid individual individualid "
    "pid mrn pseudonym case caseid caseno casenumber lesion lesionid"
)
"""From who is surely one person to who may be several, such as lesions: the first that is there is taken."""
SITES = (
    "site siteid sitename hospital hospitalid hospitalname center centre centerid centreid centername centrename "
    "institution institutionid institutionname institute clinic clinicid clinicname"
)

_PATIENT_WORDS = words("patient patients subject subjects participant person mrn")
# Columns that tell something of a patient, but not who it is.
_ATTRIBUTES = words(
    "age sex gender weight height birth birthday birthdate dob race ethnicity history position orientation status "
    "group size years year type side smoker bmi outcome class label"
)

_HOSPITAL_WORDS = words(
    """
    hospital hospitals site sites center centre centers centres clinic clinics klinik klinikum institution institute
    university univ uni client clients ward department dept krankenhaus hopital ospedale
    """
)


def plain_name(name: str) -> str:
    """Return a column's name as it is compared: letters and digits alone, lower case, without accents."""
    split = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in split.casefold() if letter.isalnum())


def matching(header: Sequence[str], asked: str) -> list[str]:
    """Return the columns that are meant by a name, in the header's order; the exact name alone where it is there."""
    if asked in header:
        return [asked]
    return [column for column in header if column and plain_name(column) == plain_name(asked)]


def usual(header: Sequence[str], names: str) -> list[str]:
    """Return the columns that have one of some usual names, in the order of these names."""
    return [column for name in names.split() for column in header if plain_name(column) == name]


def may_name_patients(column: str) -> bool:
    """Tell whether an unknown column may hold the patient: it speaks of patients, and not of what they are like."""
    told = set(split_words(column))
    return bool(told & _PATIENT_WORDS) and not told & _ATTRIBUTES


def names_a_hospital(name: str) -> bool:
    """Tell whether a folder's name speaks of a hospital: ``site-1``, ``Hospital North``."""
    return not _HOSPITAL_WORDS.isdisjoint(split_words(name))
