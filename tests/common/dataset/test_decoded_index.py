"""A data set that has not changed is not decoded again, and one that has changed is."""

import contextlib
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from client.preflight.survey import survey_images
from common.dataset import decoded_index, image_source
from common.dataset.loading import load_dataset
from common.dataset.settings import DEFAULT_SETTINGS
from common.imaging.limits import ImageLimits
from tests.common.dataset.written_data import folders, picture

Load = Callable[[], tuple[int, dict[str, str]]]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAREFED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(decoded_index, "_SETTLED_NANOSECONDS", -1)
    root = folders(tmp_path / "data", positive=["a.png", "b.png"], negative=["c.png", "d.png"])
    (root / "positive" / "broken.png").write_bytes(b"\x89PNG broken")
    return root


@pytest.fixture
def load(root: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load the data set; return how many files were decoded for that, and the digests or reasons by name."""
    decoded: list[str] = []
    decode = image_source.decode_file
    monkeypatch.setattr(
        image_source, "decode_file", lambda data, name, limits: (decoded.append(name), decode(data, name, limits))[1]
    )

    def call() -> tuple[int, dict[str, str]]:
        decoded.clear()
        dataset = load_dataset(root)
        told = {record.name: record.sha256 for record in dataset.records}
        return len(decoded), told | {image.name: image.reason for image in dataset.excluded}

    return call


def index_file(cache: Path) -> Path:
    (path,) = cache.glob("decoded-*.sqlite")
    return path


def test_a_file_from_the_future_is_decoded_once(load: Load, root: Path) -> None:
    ahead = 4_000_000_000
    os.utime(root / "positive" / "a.png", (ahead, ahead))
    assert [load()[0], load()[0]] == [5, 0]


def test_nothing_is_decoded_twice(load: Load, root: Path) -> None:
    first, told = load()
    assert first == 5
    assert load() == (0, told)
    picture(root / "negative" / "e.png", 99)
    assert load()[0] == 1


def test_it_knows_which_images_are_grey(load: Load, root: Path) -> None:
    Image.new("RGB", (8, 8), (90, 40, 10)).save(root / "positive" / "a.png")
    for decoded in (5, 0):
        assert load()[0] == decoded
        assert [record.name for record in load_dataset(root).records if not record.grey] == ["positive/a.png"]


def test_with_another_rule_of_what_is_grey_it_looks_again(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    load()
    monkeypatch.setattr(decoded_index, "_colour_digest", lambda: "changed")
    assert [load()[0], load()[0]] == [5, 0]


def test_an_index_of_a_version_that_kept_less_is_left_alone(load: Load, tmp_path: Path) -> None:
    """The columns are part of its name."""
    older = tmp_path / "cache" / "decoded-da61f137.sqlite"
    older.parent.mkdir()
    older.write_bytes(b"not to be read")
    assert [load()[0], load()[0]] == [5, 0]
    assert older.read_bytes() == b"not to be read"


def test_a_hospitals_check_remembers_the_same_as_a_training(load: Load, root: Path) -> None:
    Image.new("RGB", (8, 8), (90, 40, 10)).save(root / "positive" / "a.png")
    survey_images(root, DEFAULT_SETTINGS)
    assert load()[0] == 0
    assert [record.name for record in load_dataset(root).records if not record.grey] == ["positive/a.png"]


def test_a_file_that_was_replaced_is_decoded_even_with_the_old_times(load: Load, root: Path) -> None:
    _, before = load()
    path = root / "positive" / "a.png"
    status = path.stat()
    content = bytearray(path.read_bytes())
    picture(path, 200)
    assert path.stat().st_size == len(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    decoded, after = load()
    assert decoded == 1
    assert after["positive/a.png"] != before["positive/a.png"]


def test_other_limits_decode_anew(root: Path, load: Load) -> None:
    load()
    assert len(load_dataset(root, limits=ImageLimits(max_pixels=65)).records) == 4
    assert load()[0] == 5, "one place is kept for each file"


def test_a_file_that_has_just_changed_is_not_trusted(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded_index, "_SETTLED_NANOSECONDS", 10**12)
    load()
    assert load()[0] == 5


def test_only_its_owner_may_read_it(load: Load, tmp_path: Path) -> None:
    load()
    assert stat.S_IMODE(index_file(tmp_path / "cache").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content", [b"", b"no database at all, but something else that was written here", b"SQLite format 3\0"]
)
def test_a_damaged_index_is_made_anew(load: Load, tmp_path: Path, content: bytes) -> None:
    _, told = load()
    index_file(tmp_path / "cache").write_bytes(content)
    assert load() == (5, told)
    assert load() == (0, told)


LOOP = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"
HOSTILE = {
    "trigger": [f"create trigger loop before insert on decoded begin select ({LOOP}); end"],
    "view": ["alter table decoded rename to kept", f"create view decoded as {LOOP}"],
    "computed column": [
        "drop table decoded",
        "create table decoded (path text primary key, state text, decoder text, sha256 text, several integer, grey "
        "integer, error text, reason text as (hex(zeroblob(900000000))))",
    ],
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("way", HOSTILE)
def test_an_index_that_a_hostile_image_wrote_is_made_anew(load: Load, tmp_path: Path, way: str) -> None:
    _, told = load()
    with contextlib.closing(sqlite3.connect(index_file(tmp_path / "cache"))) as database, database:
        for statement in HOSTILE[way]:
            database.execute(statement)
    assert load() == (5, told)
    assert load() == (0, told)


@pytest.mark.parametrize("suffix", ["", "-journal", "-wal"])
def test_an_index_that_is_a_link_is_not_followed(load: Load, tmp_path: Path, suffix: str) -> None:
    _, told = load()
    index = index_file(tmp_path / "cache")
    content, link = index.read_bytes(), index.with_name(index.name + suffix)
    link.unlink(missing_ok=True)
    link.symlink_to(tmp_path / "approved")
    assert load()[1] == told
    (tmp_path / "data" / "positive" / "a.png").touch()
    load()
    assert not (tmp_path / "approved").exists()
    assert index.is_file()
    assert content


def test_it_works_without_an_index(load: Load, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAREFED_NO_CACHE", "1")
    assert [load()[0], load()[0]] == [5, 5]
    monkeypatch.delenv("RAREFED_NO_CACHE")
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert [load()[0], load()[0]] == [5, 5]


def test_a_file_that_could_not_be_read_is_tried_again(load: Load, root: Path) -> None:
    path = root / "positive" / "b.png"
    path.unlink()
    path.symlink_to(root / "positive" / "gone.png")
    assert "cannot be read" in load()[1]["positive/b.png"]
    path.unlink()
    picture(path, 2)
    assert len(load()[1]["positive/b.png"]) == 64
