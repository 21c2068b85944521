"""What lies in a data set's folder, and what of it is used: nothing is passed over without a word."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from common.dataset.image_source import Verified
from common.dataset.listing import Listing
from common.imaging.errors import ImageError
from common.system.wording import first_few, plural

TABLE_SUFFIXES = (".csv", ".tsv")
"""Tables that are read."""
WORKBOOK_SUFFIXES = (".xlsx", ".xls", ".ods")
"""Tables that must be saved as CSV first."""

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
            lines.append(f"not images: {first_few(self.others)}{hint}")
        if self.first_frames:
            have = "has" if self.first_frames == 1 else "have"
            lines.append(
                f"{plural(self.first_frames, 'file')} {have} several frames or pages, of which only the first is read"
            )
        return lines


def tally_files(listing: Listing, told: Iterable[tuple[str, Verified | ImageError]]) -> FileTally:
    """Count a data set's files.

    Parameters
    ----------
    listing : Listing
        What the layout lists and leaves out; equal reasons are counted together.
    told : iterable of (str, Verified or ImageError)
        Of each listed image: its name, and what decoding it told.
    """
    left_out = Counter((reason, shown_suffix(name)) for name, reason in listing.left_out)
    used = first_frames = 0
    for name, it in told:
        if isinstance(it, ImageError):
            left_out[_UNREADABLE, shown_suffix(name)] += 1
        else:
            used += 1
            first_frames += it.several_frames
    return FileTally(used, left_out, tuple(sorted(listing.others)), first_frames)


def shown_suffix(name: str) -> str:
    """Return a name's suffix in lower case, both of `x.nii.gz`, or words where there is none."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    if not suffixes:
        return "without suffix"
    return "".join(suffixes[-2:]) if suffixes[-1] == ".gz" else suffixes[-1]


def _is_table(name: str) -> bool:
    return shown_suffix(name) in (*TABLE_SUFFIXES, *WORKBOOK_SUFFIXES)
