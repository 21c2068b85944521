from pathlib import Path

from common.security.secret_file import keep_secret, write_secret


def test_a_secret_is_written_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    assert keep_secret(path)
    first = path.read_bytes()
    assert len(first) == 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert not keep_secret(path)
    assert path.read_bytes() == first
    write_secret(path)
    assert path.read_bytes() != first


def test_an_empty_file_holds_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.touch()
    assert keep_secret(path)
    assert path.read_bytes()
