"""How a data set names its columns, patients, sites and classes."""

from dataclasses import dataclass, fields
from typing import Self

from pydantic import BaseModel


@dataclass(frozen=True)
class DatasetSettings:
    r"""How a data set names its columns, patients, sites and classes.

    Attributes
    ----------
    path_column, label_column : str
        Columns of a CSV manifest; the defaults stand for any of their usual names (`common.dataset.column_names`). All
        columns are compared without case, spaces and punctuation.
    patient_column : str
        "auto" takes the first present of the usual names; "none" takes no column; any other value is a column (or an
        array of an ``.npz``) that must be there.
    site_column : str
        Column of the site; the default stands for its usual names, and may be absent.
    split_column : str
        Column of a CSV manifest that says which part of a split each image is in; the default stands for its usual
        names, and may be absent.
    patient_pattern : str
        Used where no column tells the patient: a regular expression searched in the file's name without suffix; its one
        group, or without group the whole match, is the patient; a name that it misses is searched with its folders.
        "auto": folders of patients below the classes, or the number where every name matches ``^(\d{4,})_\d{1,3}$``;
        otherwise each image is its own patient, unless names look like patients. "none": each image is its own.
    positive : str
        Of two classes, the diseased one. "auto" decides by the names, see `common.dataset.classes`.
    classes : tuple of str
        All classes in label order, where a federation agreed on them; empty: those that occur in the data.
    """

    path_column: str = "path"
    label_column: str = "label"
    patient_column: str = "auto"
    site_column: str = "site"
    split_column: str = "split"
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
