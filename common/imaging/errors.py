"""What an image file may cost to read, and what is said when it cannot be read."""

from dataclasses import dataclass

from common.errors import InputError


class ImageError(InputError):
    """An image cannot be used; the message is one line, ``<name>: <reason>``.

    Parameters
    ----------
    name : str
        Which image, in words a person of the hospital recognises (usually its path below the data root).
    reason : str
        What is wrong with it; line breaks and other unprintable characters become spaces.
    """

    def __init__(self, name: str, reason: str) -> None:
        # pickled by arguments, so that the error also arrives whole from a worker process
        super().__init__(name, reason)
        self.name = name
        self.reason = _on_one_line(reason)

    def __str__(self) -> str:
        return f"{_on_one_line(self.name)}: {self.reason}"


def _on_one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


class UnreadableImageError(ImageError):
    """The file is damaged, cut short, empty, missing, or no image at all."""


class ImageTooLargeError(ImageError):
    """The file, its picture, or its number of frames goes over a limit; nothing was decoded."""


class UnsupportedImageError(ImageError):
    """The file may well be sound, but in a format, pixel type or compression that rarefed does not read."""


@dataclass(frozen=True)
class ImageLimits:
    """Limits that are checked before a decoder allocates anything.

    A few kilobytes can unpack to gigabytes, and a daemon in a hospital must outlive such a file. The defaults hold
    any single X-ray, mammogram, dermoscopy or fundus picture (about 25 megapixels) twice over, but no whole slide.

    Attributes
    ----------
    max_bytes : int
        Largest image file, in bytes.
    max_pixels : int
        Largest width x height of one frame.
    max_frames : int
        Most frames a DICOM file may announce (only the first is decoded).
    max_archive_bytes : int
        Largest array in an ``.npz`` data set, in bytes after decompression.
    """

    max_bytes: int = 128 * 2**20
    max_pixels: int = 50_000_000
    max_frames: int = 1_000
    max_archive_bytes: int = 2**30

    def check_bytes(self, name: str, count: int) -> None:
        """Raise `ImageTooLargeError` for a file of more than `max_bytes` bytes."""
        if count > self.max_bytes:
            raise ImageTooLargeError(name, f"the file has {count:,} bytes, more than the limit of {self.max_bytes:,}")

    def check_size(self, name: str, width: int, height: int) -> None:
        """Raise `ImageTooLargeError` above `max_pixels` in one frame, `UnreadableImageError` without any pixel."""
        if width < 1 or height < 1:
            raise UnreadableImageError(name, f"its header says {width} x {height} pixels")
        if width * height > self.max_pixels:
            reason = f"{width} x {height} pixels are more than the limit of {self.max_pixels:,}"
            raise ImageTooLargeError(name, reason)

    def check_frames(self, name: str, frames: int) -> None:
        """Raise `ImageTooLargeError` for more than `max_frames` frames, and `UnreadableImageError` for none."""
        if frames < 1:
            raise UnreadableImageError(name, f"its header says {frames} frames")
        if frames > self.max_frames:
            raise ImageTooLargeError(name, f"{frames:,} frames are more than the limit of {self.max_frames:,}")
