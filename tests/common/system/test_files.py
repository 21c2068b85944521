import os
from pathlib import Path

import pytest

from common.system.files import (
    Relinking,
    all_but_newest,
    publish_folder,
    remove_parts,
    try_lock,
    write_bytes_atomically,
    write_json_atomically,
)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_bytes_atomically(path, b"old", 0o600)
    assert path.stat().st_mode & 0o777 == 0o600

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as caught:
        write_bytes_atomically(path, b"new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_that_cannot_be_said_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_atomically(tmp_path / "file", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".file.abc.part").touch()
    (tmp_path / "file").touch()
    remove_parts(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_is_published_unless_the_name_is_taken(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"part-{number}" / "sub").mkdir(parents=True)
        (tmp_path / f"part-{number}" / "sub" / "file").write_text(str(number))
    final = tmp_path / "final"
    assert publish_folder(tmp_path / "part-1", final) == final
    with pytest.raises(OSError, match="not empty"):
        publish_folder(tmp_path / "part-2", final)
    assert (final / "sub" / "file").read_text() == "1"


def test_a_link_is_pointed_elsewhere(tmp_path: Path) -> None:
    for target in ("one", "two"):
        Relinking(tmp_path / "latest", target).finish()
        assert (tmp_path / "latest").readlink() == Path(target)
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_no_link_is_not_replaced_by_one(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(FileExistsError, match="is a folder, not a link"):
        Relinking(tmp_path / "latest", "one")
    assert [path.name for path in tmp_path.iterdir()] == ["latest"]


def test_all_but_the_newest(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in "abc"]
    for age, path in enumerate(paths):
        path.touch()
        os.utime(path, (1000 - age, 1000 - age))
    assert all_but_newest(paths, 1) == paths[1:]


def test_a_lock_is_exclusive_or_shared(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    with path.open() as one, path.open() as other:
        assert try_lock(one, shared=True)
        assert try_lock(other, shared=True)
        assert not try_lock(one)
    with path.open() as one, path.open() as other:
        assert try_lock(one)
        assert not try_lock(other, shared=True)
