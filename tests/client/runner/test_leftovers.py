import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.rules.policy import HospitalFailure
from client.runner import leftovers
from client.runner.leftovers import remove_leftovers

NOBODY = 65534
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


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder of a user who is not root, who may do everything; the test is that user's."""
    root = not os.geteuid()
    folder = tmp_path / "state"
    folder.mkdir()
    if root:
        for above in (tmp_path, tmp_path.parent, tmp_path.parent.parent, tmp_path.parent.parent.parent):
            above.chmod(above.stat().st_mode | 0o011)
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    yield folder
    if root:
        os.seteuid(0)


def shut(folder: Path, mode: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(mode)


@pytest.mark.parametrize("mode", [0, 0o100, 0o500])
@pytest.mark.parametrize("where", ["cache/x", "cache/x/y", "cache/trunk", "cache/trunk/ab", f"layers/{FEDERATION}"])
def test_a_folder_that_its_owner_has_shut_holds_nobody_up(state: Path, where: str, mode: int) -> None:
    for name in HONEST:
        write(state / name)
    write(state / where / "ballast")
    shut(state / where, mode)
    remove_leftovers(state / "cache", state / "layers")
    remove_leftovers(state / "cache", state / "layers")
    left = {path.relative_to(state).as_posix() for path in state.rglob("*") if not path.is_dir()}
    assert left == {*HONEST}
    assert not (state / "cache" / "x").exists()


@pytest.mark.parametrize("mode", [0, 0o400, 0o444])
def test_a_file_that_may_stay_can_be_used(state: Path, mode: int) -> None:
    """Layers are nowhere else: whoever has protected them finds them again."""
    for name in HONEST:
        write(state / name).chmod(mode)
    remove_leftovers(state / "cache", state / "layers")
    assert all((state / name).read_bytes() == b"1" for name in HONEST)
    assert {(state / name).stat().st_mode & 0o777 for name in HONEST} == {0o600}


def test_folders_in_folders_without_end_are_removed(state: Path) -> None:
    cache = state / "cache"
    cache.mkdir()
    descriptor = os.open(cache, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("x", dir_fd=descriptor)
        inner = os.open("x", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    remove_leftovers(cache, state / "layers")
    assert [*cache.iterdir()] == []


def test_empty_files_without_number_fill_a_cache_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "_SLACK", 2**20)
    monkeypatch.setattr(leftovers, "cache_limit", lambda: 2**20)
    for number in range(800):
        write(tmp_path / "cache" / "trunk" / "ab" / f"{number:064x}.safetensors", b"")
    remove_leftovers(tmp_path / "cache", tmp_path / "layers")
    assert list((tmp_path / "cache").rglob("*.safetensors")) == []


@pytest.mark.skipif(bool(os.geteuid()), reason="needs root, to make what this user cannot remove")
def test_what_cannot_be_removed_is_named(state: Path) -> None:
    os.seteuid(0)
    for name in ("a", "theirs/file", "z"):
        write(state / "cache" / name)
    os.chown(state / "cache", NOBODY, NOBODY)
    write(state / "layers" / "ballast")
    os.chown(state / "layers", NOBODY, NOBODY)
    os.seteuid(NOBODY)
    with pytest.raises(HospitalFailure, match=r"state/cache/theirs cannot be opened or removed: Permission denied"):
        remove_leftovers(state / "cache", state / "layers")
    assert [path.name for path in state.rglob("*") if not path.is_dir()] == ["file"]


def test_a_folder_that_cannot_be_opened_is_named(state: Path) -> None:
    (state / "cache").mkdir(mode=0)
    with pytest.raises(HospitalFailure, match=r"state/cache cannot be opened or removed: Permission denied"):
        remove_leftovers(state / "cache", state / "layers")


def test_a_state_folder_that_cannot_be_entered_is_named(state: Path) -> None:
    write(state / "cache" / "ballast")
    state.chmod(0)
    with pytest.raises(HospitalFailure, match=r"state/cache cannot be opened or removed: Permission denied"):
        remove_leftovers(state / "cache", state / "layers")
    state.chmod(0o700)
