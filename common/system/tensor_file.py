"""Tensors in a safetensors file that tells when it was damaged, or lies in the place of another."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from common.system.files import write_bytes_atomically

# One key: safetensors writes several in an order that changes from process to process, and equal tensors shall give
# equal bytes.
_SEAL = "seal"


class TensorFileError(Exception):
    """The file is missing, cannot be read, was damaged since it was written, or was written for another place."""


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]], *, place: str, text: str = "") -> None:
    """Write tensors and a text, atomically and readable by the owner alone.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    tensors : mapping of str to ndarray
        By name; may be empty.
    place : str
        What the tensors belong to, such as a federation and a round. It is not written, but goes into the digest, so
        that no file passes for another.
    text : str
        What else belongs to the tensors.
    """
    arrays = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    seal = json.dumps([_digest(arrays, place, text), text])
    write_bytes_atomically(path, save(arrays, {_SEAL: seal}), mode=0o600)


def read_tensors(path: Path, *, place: str) -> tuple[dict[str, NDArray[Any]], str]:
    """Return the tensors and the text that were written to a file for the same place.

    Raises
    ------
    TensorFileError
        If nothing whole was.
    """
    try:
        with safe_open(path, framework="numpy") as opened:
            seal = (opened.metadata() or {})[_SEAL]
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not iterable
        digest, text = json.loads(seal)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise TensorFileError(f"{path} cannot be read") from error
    if digest != _digest(arrays, place, text):
        raise TensorFileError(f"{path} was damaged since it was written")
    return arrays, text


def _digest(arrays: Mapping[str, NDArray[Any]], place: str, text: str) -> str:
    described = [
        [name, str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
        for name, array in sorted(arrays.items())
    ]
    return hashlib.sha256(json.dumps([place, text, described]).encode()).hexdigest()
