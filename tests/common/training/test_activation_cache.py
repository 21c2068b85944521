import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from common.errors import InputError
from common.training.activation_cache import ActivationCache, activation_cache
from common.training.cache_limit import cache_limit, describe_shortage

KEYS = [f"{number:064x}" for number in range(1, 40)]


def test_what_was_written_is_read_bit_for_bit(tmp_path: Path) -> None:
    tensors = [torch.randn(3, 4).to(torch.bfloat16), torch.randn(2)]
    for key, tensor in zip(KEYS, tensors, strict=False):
        ActivationCache(tmp_path).write(key, tensor)
    again = ActivationCache(tmp_path)
    for key, tensor in zip(KEYS, tensors, strict=False):
        read = again.read(key)
        assert read is not None
        assert read.dtype == tensor.dtype
        assert torch.equal(read, tensor)
    assert again.read(KEYS[2]) is None


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_entry_counts_as_missing(tmp_path: Path, damage: bytes | None) -> None:
    cache = ActivationCache(tmp_path)
    cache.write(KEYS[0], torch.ones(100))
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:60] if damage is None else damage)
    assert cache.read(KEYS[0]) is None
    assert not path.exists()


@pytest.mark.parametrize("tensor", [torch.ones(100), torch.ones(4, 4, dtype=torch.bfloat16)])
def test_an_entry_of_other_bytes_counts_as_missing(tmp_path: Path, tensor: torch.Tensor) -> None:
    cache = ActivationCache(tmp_path)
    cache.write(KEYS[0], tensor)
    (path,) = tmp_path.rglob("*.safetensors")
    written = bytearray(path.read_bytes())
    written[-3] ^= 4
    path.write_bytes(written)
    assert cache.read(KEYS[0]) is None
    assert not path.exists()


def test_the_longest_unused_entries_make_room(tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path, limit_bytes=20_000)
    for age, key in enumerate(KEYS):
        cache.write(key, torch.zeros(250))
        for old in tmp_path.rglob(f"{key}.safetensors"):
            os.utime(old, (age, age))
        # Reading marks the first entry as used just now.
        assert cache.read(KEYS[0]) is not None
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors")) <= 20_000
    assert cache.read(KEYS[1]) is None
    assert cache.read(KEYS[-1]) is not None


def test_a_training_larger_than_the_cache_keeps_what_fits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Going through more entries than fit again and again, the least recently used one is always needed next."""
    cache = ActivationCache(tmp_path, limit_bytes=20_000)
    for _ in range(3):
        for key in KEYS:
            if cache.read(key) is None:
                cache.write(key, torch.zeros(250))
    assert sum(cache.read(key) is not None for key in KEYS) >= 15
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors")) <= 22_000
    assert caplog.text.count("RAREFED_CACHE_GIB raises that") == 1


def test_the_limit_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_limit() == 4 * 1024**3
    monkeypatch.setenv("RAREFED_CACHE_GIB", "0.5")
    assert cache_limit() == 1024**3 // 2
    assert describe_shortage(1024**3 // 2) is None
    assert "need 1.5 GiB, and the cache may hold 0.5" in str(describe_shortage(3 * 1024**3 // 2))
    for wrong in ("much", "-1", "0", "nan", "inf"):
        monkeypatch.setenv("RAREFED_CACHE_GIB", wrong)
        with pytest.raises(InputError, match="RAREFED_CACHE_GIB = "):
            cache_limit()


def test_only_the_owner_can_look_in(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    ActivationCache(folder).write(KEYS[0], torch.ones(1))
    assert folder.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path / "cache")
    (tmp_path / "cache").rmdir()
    (tmp_path / "cache").write_text("a file in its place")
    cache.write(KEYS[0], torch.ones(3))
    assert cache.read(KEYS[0]) is None


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AttributeError):
        ActivationCache(tmp_path).write(KEYS[0], None)  # type: ignore[dict-item]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_two_processes_may_write_the_same_entry(tmp_path: Path) -> None:
    program = f"""
import sys, torch
from pathlib import Path
from common.training.activation_cache import ActivationCache, activation_cache
cache = ActivationCache(Path(sys.argv[1]))
for _ in range(50):
    cache.write({KEYS[0]!r}, torch.ones(5000))
    assert cache.read({KEYS[0]!r}).sum() == 5000
"""
    both = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(2)]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert [path.name for path in tmp_path.rglob("*.part")] == []


def test_what_other_processes_write_counts_too(tmp_path: Path) -> None:
    ours, theirs = (ActivationCache(tmp_path, limit_bytes=400_000) for _ in range(2))
    for number in range(150):
        for cache, name in ((ours, "a"), (theirs, "b")):
            cache.write(f"{number:03d}{name}" + "0" * 60, torch.ones(500))
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors")) <= 450_000


def test_what_a_killed_process_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    ActivationCache(tmp_path).write(KEYS[0], torch.ones(1))
    folder = next(tmp_path.iterdir())
    fresh, abandoned = folder / ".fresh.part", folder / ".abandoned.part"
    for path in (fresh, abandoned):
        path.write_bytes(b"half")
    os.utime(abandoned, (0, 0))
    ActivationCache(tmp_path).write(KEYS[1], torch.ones(1))
    assert fresh.exists()
    assert not abandoned.exists()


def test_the_cache_can_be_turned_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAREFED_CACHE", str(tmp_path))
    assert activation_cache() is not None
    monkeypatch.setenv("RAREFED_NO_CACHE", "1")
    assert activation_cache() is None
