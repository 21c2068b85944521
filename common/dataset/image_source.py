"""Where an image's pixels come from: a file that is read anew each time, or an array in memory."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.imaging.colour import has_colour
from common.imaging.decode import decode_file, read_bytes
from common.imaging.errors import UnreadableImageError
from common.imaging.limits import DEFAULT_LIMITS, ImageLimits


@dataclass(frozen=True)
class Verified:
    """What is known of an image that was decoded once.

    Attributes
    ----------
    sha256 : str
        Digest of its content.
    several_frames : bool
        It has further frames or pages, which are not read.
    grey : bool
        It has no colour, by `common.imaging.colour.has_colour`.
    """

    sha256: str
    several_frames: bool = False
    grey: bool = field(kw_only=True)


class ImageSource(Protocol):
    """Where one image's pixels come from."""

    def pixels(self, sha256: str = "") -> NDArray[np.uint8]:
        """Return the image as RGB, shape (H, W, 3), 0..255; raise `common.imaging.errors.ImageError` if that fails.

        With the digest that `verify` found, a file that has changed since is such an error.
        """
        ...

    def verify(self) -> Verified:
        """Decode the image once and return what that tells; raise `ImageError` if that fails."""
        ...


@dataclass(frozen=True)
class FileSource:
    """An image file, read anew each time.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        What errors call it.
    limits : ImageLimits
        Its largest size.
    """

    path: Path
    name: str
    limits: ImageLimits = DEFAULT_LIMITS

    def pixels(self, sha256: str = "") -> NDArray[np.uint8]:
        """Read and decode the file; shape (H, W, 3), RGB."""
        data = read_bytes(self.path, self.name, self.limits)
        if sha256 and hashlib.sha256(data).hexdigest() != sha256:
            raise UnreadableImageError(self.name, "has changed since the data set was read; start again")
        return decode_file(data, self.name, self.limits).pixels

    def verify(self) -> Verified:
        """Read the file once and decode it; the SHA-256 is that of its bytes."""
        data = read_bytes(self.path, self.name, self.limits)
        decoded = decode_file(data, self.name, self.limits)
        digest = hashlib.sha256(data).hexdigest()
        return Verified(digest, decoded.several_frames, grey=not has_colour(decoded.pixels))


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare or hash by
class ArraySource:
    """One image of an array that is in memory, because a compressed ``.npz`` cannot be read in parts.

    Attributes
    ----------
    image : ndarray of uint8, shape (H, W), (H, W, 1) or (H, W, 3)
        Grey or RGB.
    """

    image: NDArray[np.uint8] = field(repr=False)

    def pixels(self, sha256: str = "") -> NDArray[np.uint8]:
        """Return a copy as RGB, shape (H, W, 3)."""
        stacked = self.image[:, :, None] if self.image.ndim == 2 else self.image
        return np.array(np.broadcast_to(stacked, (*stacked.shape[:2], 3)))

    def verify(self) -> Verified:
        """Look at the image once; the SHA-256 is that of its shape and bytes."""
        shape = "x".join(str(length) for length in self.image.shape)
        content = shape.encode() + b":" + np.ascontiguousarray(self.image).tobytes()
        return Verified(hashlib.sha256(content).hexdigest(), grey=not has_colour(self.pixels()))
