"""Why an image cannot be used: damaged, too large, or in a format that is not read."""

from common.errors import InputError


class ImageError(InputError):
    """An image cannot be used; the message is one line, ``<name>: <reason>``.

    Parameters
    ----------
    name : str
        Name of the image for people of the hospital, usually its path below the data root.
    reason : str
        What is wrong with it; line breaks and other unprintable characters become spaces.
    """

    def __init__(self, name: str, reason: str) -> None:
        # exceptions are pickled by their arguments: with both, the error survives the way from a worker process
        super().__init__(name, reason)
        self.name = name
        self.reason = _on_one_line(reason)

    def __str__(self) -> str:
        return f"{_on_one_line(self.name)}: {self.reason}"


def _on_one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


class UnreadableImageError(ImageError):
    """The file is damaged, cut short, empty, missing, or no image at all."""


class UnreachableImageError(UnreadableImageError):
    """The file could not be read from its disk, and may be next time: permission was missing, or a network failed."""


class ImageTooLargeError(ImageError):
    """The file, its picture, or its number of frames goes over a limit; nothing was decoded."""


class UnsupportedImageError(ImageError):
    """The file may well be sound, but in a format, pixel type or compression that rarefed does not read."""
