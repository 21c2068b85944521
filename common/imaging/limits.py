"""The largest image that is decoded."""

from dataclasses import dataclass

from common.imaging.errors import ImageTooLargeError, UnreadableImageError


@dataclass(frozen=True)
class ImageLimits:
    """Limits that are checked before a decoder allocates memory.

    A few kilobytes can unpack to gigabytes, and a daemon in a hospital must survive such a file. The defaults are twice
    the size of the largest X-rays, mammograms, dermoscopy and fundus pictures (about 25 megapixels); whole slides
    exceed them.

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


DEFAULT_LIMITS = ImageLimits()
