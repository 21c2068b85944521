import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image

import common.models.pretrained_weights
from common.errors import InputError
from common.imaging.preprocess import normalise, resize_and_denoise
from common.models.classifier import build_model
from common.models.pretrained_weights import available, fetch, find_weights, verify
from common.plan.families import FAMILIES
from common.plan.groups import DataPlan
from common.plan.training_plan import TrainingPlan

LITE0, B0 = FAMILIES["efficientnet_lite0"], FAMILIES["efficientnet_b0"]
DAISY = 985


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
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_: str(staged / "efficientnet_b0.safetensors"))
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
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_: str(bad))
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


def test_only_the_package_is_read_as_a_pickle(tmp_path: Path) -> None:
    copy = tmp_path / "efficientnet-lite0.pth"
    packaged = find_weights(LITE0)
    assert packaged is not None
    copy.write_bytes(packaged.path.read_bytes())
    given = find_weights(LITE0, str(copy))
    assert given is not None
    with pytest.raises(InputError, match="cannot be read as safetensors"):
        given.state_dict()


def test_a_changed_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common.models.pretrained_weights, "_PACKAGED_SHA256", "0" * 64)
    weights = find_weights(LITE0)
    assert weights is not None
    with pytest.raises(InputError, match="reinstall"):
        weights.state_dict()


def test_fetching_without_the_web_says_where_to_put_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAREFED_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    with pytest.raises(InputError, match=r"copy that file to .*resnet50\.safetensors"):
        fetch(FAMILIES["resnet50"])
    assert not (tmp_path / "weights").exists()
