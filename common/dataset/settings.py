"""How a data set names its columns, patients, sites and classes."""

from dataclasses import dataclass, fields
from typing import Self

from pydantic import BaseModel

PATIENT_COLUMNS = ("patient", "patient_id", "lesion_id")
"""Columns that tell the patient where no column is asked for; the first present is taken."""


@dataclass(frozen=True)
class DatasetSettings:
    r"""How a data set names its columns, patients, sites and classes.

    Attributes
    ----------
    path_column, label_column : str
        Columns of a CSV manifest.
    patient_column : str
        "auto" takes the first present of `PATIENT_COLUMNS`; "none" takes no column; any other value is a column (or an
        array of an ``.npz``) that must be there.
    site_column : str
        Column of the site; it may be absent as long as this is the default.
    patient_pattern : str
        Used where no column tells the patient: a regular expression searched in the file's name without suffix; its one
        group, or without group the whole match, is the patient. "auto": when every name matches ``^(\d{4,})_\d{1,3}$``,
        the number is the patient, otherwise each image is its own patient. "none": each image is its own patient.
    positive : str
        Of two classes, the diseased one. "auto" decides by the names, see `common.dataset.classes`.
    classes : tuple of str
        All classes in label order, where a federation agreed on them; empty: those that occur in the data.
    """

    path_column: str = "path"
    label_column: str = "label"
    patient_column: str = "auto"
    site_column: str = "site"
    patient_pattern: str = "auto"
    positive: str = "auto"
    classes: tuple[str, ...] = ()

    @classmethod
    def of(cls, section: BaseModel, classes: tuple[str, ...]) -> Self:
        """Take the settings out of a section that has fields of the same names: the plan's `data`, a hospital's `data`.

        A field that the section lacks keeps its default.
        """
        names = {field.name for field in fields(cls)} - {"classes"}
        return cls(**section.model_dump(include=names), classes=classes)


DEFAULT_SETTINGS = DatasetSettings()
DEFAULT_SITE_COLUMN = DEFAULT_SETTINGS.site_column
