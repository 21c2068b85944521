"""What all records of `summary.json` have in common."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict

Interval = tuple[float, float]
"""Lower and upper limit of a 95 % interval."""

Count = int | float
"""A number of images; a mean over repeats or models need not be whole."""


class Record(BaseModel):
    """One object of `summary.json`.

    A field that was not set is left out of the file; one that was set to None is written as null. The constructor
    refuses names that it does not know, so that a mistyped one cannot lose a figure.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object: the fields that were set, in the order of the class, under their names in files."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def to_json_text(self) -> str:
        """Return the JSON object as text; NaN becomes null."""
        return self.model_dump_json(by_alias=True, exclude_unset=True)

    def fields(self) -> dict[str, Any]:
        """Return the fields that were set, by name."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}

    def extended(self, **more: Any) -> Self:
        """Return the record with more fields set, or set anew."""
        return type(self)(**self.fields() | more)
