"""The layers that stay in this hospital and never travel; after every round they are saved to disk, with digests.

FedBN (Li et al. 2021, "FedBN: Federated Learning on Non-IID Features via Local Batch Normalization", algorithm 1)
averages everything but the normalisation layers; each hospital trains and keeps its own.
"""

import hashlib
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.rules.policy import HospitalFailure
from common.models.tail_layout import TailLayout
from common.protocol.refusals import Failure
from common.system.files import all_but_newest, remove_parts
from common.system.tensor_file import TensorFileError, read_tensors, write_tensors

_KEEP_FEDERATIONS = 3


class PersonalLayers:
    """What this hospital keeps of its own in one federation: its layers after each round that it took part in.

    All rounds are kept, some hundred kilobytes each: the coordinator may select the model of any of them, and a global
    tail is only as good as it was evaluated together with the layers of its own round. Of other federations the two
    latest are kept.

    Parameters
    ----------
    folder : Path
        Of this hospital's layers in all federations; made when the first layers are saved.
    federation : str
        What the server calls the federation, also after it was resumed (`messages.FEDERATION`).
    layout : TailLayout
        From `TailLayout.personal`.
    """

    def __init__(self, folder: Path, federation: str, layout: TailLayout) -> None:
        self._all = folder
        # The server chose the name: none of it may become part of a path.
        self._folder = folder / hashlib.sha256(federation.encode()).hexdigest()[:32]
        self._layout = layout

    def after(self, round_number: int) -> NDArray[np.float32] | None:
        """Return the layers as they were after a round, or after the last one before it that the hospital took part in.

        So a round that the server asks for again starts from the same layers as the first time.

        Parameters
        ----------
        round_number : int
            From 0, which means before the first round.

        Returns
        -------
        ndarray of float32, shape (layout.size,), or None
            None if no layers of this round or an earlier one are kept: the pretrained ones hold.

        Raises
        ------
        HospitalFailure
            If the file of that round is damaged. Nothing takes its place: neither earlier nor pretrained layers belong
            to the global tail of this round, but the result would be evaluated and averaged as if they did.
        """
        kept = [_number(path) for path in self._folder.glob("round-[0-9]*.safetensors")]
        earlier = [number for number in kept if number <= round_number]
        return self._load(max(earlier)) if earlier else None

    def keep(self, round_number: int, layers: NDArray[np.float32]) -> None:
        """Save the layers as they are after a round.

        Raises
        ------
        HospitalFailure
            If they cannot be written: the next round could not continue from them.
        """
        path = self._path(round_number)
        try:
            self._all.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
            write_tensors(path, self._layout.tensors(layers), place=self._place(round_number))
            remove_parts(self._folder)
            others = [each for each in self._all.iterdir() if each.is_dir() and each != self._folder]
            for old in all_but_newest(others, _KEEP_FEDERATIONS - 1):
                shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            raise HospitalFailure(Failure.STATE, f"{path} cannot be written: {error.strerror}") from error

    def _load(self, round_number: int) -> NDArray[np.float32]:
        path = self._path(round_number)
        try:
            tensors, _ = read_tensors(path, place=self._place(round_number))
        except TensorFileError as error:
            raise _damaged(path) from error
        return np.concatenate([tensors[name].ravel() for name in self._layout.names])

    def _place(self, round_number: int) -> str:
        return f"{self._folder.name} {round_number} {self._layout.names}"

    def _path(self, round_number: int) -> Path:
        return self._folder / f"round-{round_number:04}.safetensors"


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("round-"))


def _damaged(path: Path) -> HospitalFailure:
    return HospitalFailure(
        Failure.STATE,
        f"{path} was damaged since it was written, or is of another rarefed: restore it, or remove it to go on from "
        "this hospital's layers of the round before",
    )
