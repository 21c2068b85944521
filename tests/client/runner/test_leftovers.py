import os
from pathlib import Path

import pytest

from client.runner import leftovers
from client.runner.leftovers import remove_leftovers

KEY, FEDERATION = "ab" * 32, "cd" * 16
HONEST = (
    "cache/decoded-01234567.sqlite",
    f"cache/trunk/ab/{KEY}.safetensors",
    "cache/trunk/ab/.0123456789abcdef.part",
    f"layers/{FEDERATION}/round-0001.safetensors",
)


def write(path: Path, content: bytes = b"1") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_caches_and_layers_stay(tmp_path: Path) -> None:
    for name in HONEST:
        write(tmp_path / name)
    remove_leftovers(tmp_path / "cache", tmp_path / "layers")
    assert all((tmp_path / name).read_bytes() == b"1" for name in HONEST)
    remove_leftovers(tmp_path / "nowhere", tmp_path / "nowhere")


def test_what_would_hold_up_or_mislead_the_next_is_removed(tmp_path: Path) -> None:
    cache, layers, beside = tmp_path / "cache", tmp_path / "layers", write(tmp_path / "beside" / "file")
    for name in HONEST:
        write(tmp_path / name)
    write(cache / "ballast")
    write(cache / "decoded-01234567.sqlite-journal")
    write(cache / "decoded-89abcdef.sqlite" / "folder")
    write(cache / "trunk" / "deep" / "er" / "file")
    write(layers / FEDERATION / "round-0001.safetensors.old")
    os.mkfifo(layers / FEDERATION / "round-0002.safetensors")
    os.mkfifo(cache / "trunk" / "ab" / f"{'00' * 32}.safetensors")
    (cache / "trunk" / "00").symlink_to(beside.parent)
    (cache / "trunk" / "ab" / f"{'11' * 32}.safetensors").symlink_to(beside)
    remove_leftovers(cache, layers)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if not path.is_dir()}
    assert left == {*HONEST, "beside/file"}
    assert not (cache / "trunk" / "00").is_symlink()


def test_a_cache_that_fills_the_disk_is_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "_SLACK", 2**20)
    monkeypatch.setattr(leftovers, "cache_limit", lambda: 2**20)
    for number in range(3):
        write(tmp_path / "cache" / "trunk" / "ab" / f"{number:064x}.safetensors", bytes(2**20))
    index = write(tmp_path / "cache" / "decoded-01234567.sqlite")
    layers = write(tmp_path / "layers" / FEDERATION / "round-0001.safetensors")
    remove_leftovers(tmp_path / "cache", tmp_path / "layers")
    assert not index.exists()
    assert list((tmp_path / "cache").rglob("*.safetensors")) == []
    assert layers.exists()
