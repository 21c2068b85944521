"""What lies in a data set's folder, and what of it is used: nothing is passed over without a word."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from common.system.wording import plural

_UNREADABLE = "cannot be decoded"


@dataclass(frozen=True)
class FileTally:
    """Counts of a data set's files; those that nobody means as images, such as Thumbs.db or a README, are not counted.

    Attributes
    ----------
    used : int
        Images that take part.
    left_out : Counter of (reason, suffix)
        Files that may be images and take no part.
    others : tuple of str
        Names of files that are no images, sorted.
    first_frames : int
        Images of several frames or pages, of which only the first is read.
    """

    used: int
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    others: tuple[str, ...] = ()
    first_frames: int = 0

    @property
    def found(self) -> int:
        """All files."""
        return self.used + self.left_out.total() + len(self.others)

    def lines(self) -> list[str]:
        """Return what is worth telling, a line each; none where all files are used, each as a whole."""
        lines = []
        if self.found != self.used:
            lines.append(
                f"{self.found} files found, {self.used} used, {plural(self.left_out.total(), 'image')} left out"
            )
        for reason in sorted({reason for reason, _ in self.left_out}):
            by_suffix = {suffix: count for (its, suffix), count in sorted(self.left_out.items()) if its == reason}
            counts = ", ".join(f"{count} {suffix}" for suffix, count in by_suffix.items())
            lines.append(f"left out: {counts}: {reason}")
        if self.others:
            hint = "; of tables only a manifest.csv is read" if any(map(_is_table, self.others)) else ""
            lines.append(f"not images: {_first_few(self.others)}{hint}")
        if self.first_frames:
            have = "has" if self.first_frames == 1 else "have"
            lines.append(
                f"{plural(self.first_frames, 'file')} {have} several frames or pages, of which only the first is read"
            )
        return lines


def tally_files(
    listed_left_out: Iterable[tuple[str, str]],
    unreadable: Iterable[str],
    others: Iterable[str],
    *,
    used: int,
    first_frames: int,
) -> FileTally:
    """Count files.

    Parameters
    ----------
    listed_left_out : iterable of (name, reason)
        What the layout leaves out; equal reasons are counted together.
    unreadable : iterable of str
        Names of images that could not be decoded.
    others : iterable of str
        Names of files that are no images.
    used, first_frames : int
        As in `FileTally`.
    """
    left_out = Counter((reason, shown_suffix(name)) for name, reason in listed_left_out)
    left_out.update((_UNREADABLE, shown_suffix(name)) for name in unreadable)
    return FileTally(used, left_out, tuple(sorted(others)), first_frames)


def shown_suffix(name: str) -> str:
    """Return a name's suffix in lower case, both of `x.nii.gz`, or words where there is none."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    if not suffixes:
        return "without suffix"
    return "".join(suffixes[-2:]) if suffixes[-1] == ".gz" else suffixes[-1]


def _is_table(name: str) -> bool:
    return shown_suffix(name) in (".csv", ".tsv", ".xlsx", ".xls", ".ods")


def _first_few(names: tuple[str, ...], most: int = 3) -> str:
    further = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + further
