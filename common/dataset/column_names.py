"""What columns of hospitals' tables are called, compared without case, accents, spaces and punctuation."""

import unicodedata
from collections.abc import Sequence

from common.dataset.class_names import split_words
from common.system.wording import words

PATHS = (
    "path filepath file filename imagepath imagefile imagefilename imagefilepath imagename image img imgpath imgname "
    "imageid imgid imageindex idcode fname images files paths picture photo isicid bild dateiname"
)
LABELS = (
    "label labels class classes classname classlabel diagnosis dx target targets category finding findings "
    "findinglabel findinglabels groundtruth disease klasse diagnose y"
)
PATIENTS = (
    "patient patientid patientno patientnr patientnumber patientkey patientcode patientidentifier subject subjectid "
    "subjectno subjectnumber subjectkey subjectcode person personid participant participantid individual individualid "
    "studysubject studysubjectid usubjid subj subjid subjno pat patid patno patnr ptid ptno patienten patientenid "
    "patientennr patientennummer proband probandid donor donorid volunteer volunteerid pid mrn pseudonym case caseid "
    "caseno casenumber fallid fallnr fallnummer lesion lesionid"
)
"""From who is surely one person to who may be several, such as lesions: the first that is there is taken."""
SITES = (
    "site siteid sitename hospital hospitalid hospitalname center centre centerid centreid centername centrename "
    "institution institutionid institutionname institute clinic clinicid clinicname klinik facility facilityid "
    "facilityname medicalcenter medicalcentre hosp hospitalcode sitecode siteno sitenumber centercode centrecode"
)
SPLITS = (
    "split splits set subset dataset datasetsplit datasplit partition fold part phase usage traintest traintestsplit "
    "trainvaltest trainvaltestsplit"
)
"""A column of such a name tells a split only if each of its cells names a part; a fold may also be a number."""

_PATIENT_WORDS = words("patient patients subject subjects subj participant person persons people mrn pat ptid pt")
_PATIENT_BEGINNINGS = ("patient", "pazient", "pacient", "proband", "sujet", "患者", "病人")
_NUMBERED_BY_HOSPITALS = frozenset({"hospitalnumber", "hospitalno", "hospitalnr"})
# Columns that tell something of a patient, but not who it is.
_ATTRIBUTES = words(
    "age sex gender weight height birth birthday birthdate dob race ethnicity history position orientation status "
    "group size years year type side smoker bmi outcome class label"
)

_IDENTIFIERS = words(
    "id ids uid uuid guid identifier number nummer nr no accession barcode key code name surname lastname nachname "
    "initials rid eid ssn nhs fall hash deid pseudonym"
)
_OTHERS_IDENTIFIED = words(
    """
    image images img file slice frame sop series class label diagnosis icd site hospital center centre clinic
    device camera scanner machine model fold split batch reader radiologist rad annotator rater grader dataset version
    """
)
_SITE_WORDS = words(
    "site hospital center centre clinic klinik klinikum institution institute facility krankenhaus hopital ospedale "
    "centro zentrum einrichtung standort provider spital"
)
_PLACES_IN_A_BODY = words(
    """
    anatom anatomic anatomical anatomy body tumor tumour lesion primary biopsy injection skin organ of general special
    patient number no nr
    """
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
    beginnings = {*told, plain_name(column)}  # words are of Latin letters
    speaks = told & _PATIENT_WORDS or any(word.startswith(_PATIENT_BEGINNINGS) for word in beginnings)
    return plain_name(column) in _NUMBERED_BY_HOSPITALS or (bool(speaks) and not told & _ATTRIBUTES)


def may_be_identifiers(column: str) -> bool:
    """Tell whether an unknown column's name ends as an identifier's does, and not one of images, classes or devices."""
    told = split_words(column)
    others = bool(set(told) & _OTHERS_IDENTIFIED) or may_name_sites(column)
    return bool(told) and told[-1] in _IDENTIFIERS and not others


def may_name_sites(column: str) -> bool:
    """Tell whether an unknown column may hold the site: it speaks of hospitals, and not of places in a body."""
    told = set(split_words(column))
    return bool(told & _SITE_WORDS) and not told & _PLACES_IN_A_BODY


def names_a_hospital(name: str) -> bool:
    """Tell whether a folder's name speaks of a hospital: ``site-1``, ``Hospital North``."""
    return not _HOSPITAL_WORDS.isdisjoint(split_words(name))
