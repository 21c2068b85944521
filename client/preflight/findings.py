"""What the checks found, in words for the hospital's own staff."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from common.system.wording import printable, shortened

# Whoever sends a megabyte fills no log and no terminal with it.
_LONGEST = 2000


class Status(StrEnum):
    """How severe a finding is, from harmless to severe."""

    PASSED = "passed"
    WARN = "warn"
    FAILED = "failed"


_SEVERITY = tuple(Status)


@dataclass(frozen=True)
class Finding:
    """The outcome of one check, as lines that a terminal and a log may show whatever files, images and servers hold.

    Attributes
    ----------
    check : str
        Its name, two or three words.
    status : Status
        How severe it is.
    found : str
        What was found, with counts and the first names. It may name files and patients, so it stays in the hospital.
    mend : str
        What to do about it; empty where nothing need be done.
    """

    check: str
    status: Status
    found: str
    mend: str = ""

    def __post_init__(self) -> None:
        """Escape control characters, and cut what is too long."""
        for name in ("check", "found", "mend"):
            object.__setattr__(self, name, shortened(printable(getattr(self, name)), _LONGEST))


@dataclass(frozen=True)
class Report:
    """All findings about one hospital.

    Attributes
    ----------
    hospital : str
        Its name.
    findings : tuple of Finding
        In the order of the checks.
    """

    hospital: str
    findings: tuple[Finding, ...]

    @property
    def worst(self) -> Status:
        """The worst status of any finding."""
        return max((finding.status for finding in self.findings), key=_SEVERITY.index, default=Status.PASSED)

    def count(self, status: Status) -> int:
        """Return how many findings have a status."""
        return sum(finding.status == status for finding in self.findings)

    def exit_code(self, strict: bool = False) -> int:
        """Return 1 if something failed, or under `strict` if there is a warning; otherwise 0."""
        return int(self.worst == Status.FAILED or (strict and self.worst == Status.WARN))

    def to_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        findings = [asdict(finding) for finding in self.findings]
        return {"hospital": self.hospital, "status": self.worst, "findings": findings}


def passed(check: str, found: str) -> Finding:
    """Return a finding that asks for nothing."""
    return Finding(check, Status.PASSED, found)


def warn(check: str, found: str, mend: str) -> Finding:
    """Return a finding that a person should look at."""
    return Finding(check, Status.WARN, found, mend)


def failed(check: str, found: str, mend: str) -> Finding:
    """Return a finding that keeps the hospital from taking part."""
    return Finding(check, Status.FAILED, found, mend)
