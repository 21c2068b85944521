"""What the pixels of a decoded file depend on besides its bytes: this package's code, and the decoders there."""

import hashlib
import inspect
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from common.imaging import decode, dicom, embedded_size, intensity

_LIBRARIES = ("pillow", "pydicom", "numpy", "pyjpegls", "pylibjpeg", "pylibjpeg-openjpeg", "python-gdcm")


@cache
def decoder_digest() -> str:
    """Return a digest that changes with whatever may change how a file is decoded, or whether it can be."""
    code = [inspect.getsource(module) for module in (decode, dicom, embedded_size, intensity)]
    libraries = [f"{name} {_version(name)}" for name in _LIBRARIES]
    return hashlib.sha256("\0".join([*code, *libraries]).encode()).hexdigest()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "absent"
