from pathlib import Path

import numpy as np
import pytest

from common.system.tensor_file import TensorFileError, read_tensors, write_tensors

TENSORS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3).T, "a": np.zeros(0, np.float64)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_tensors(tmp_path / "file", TENSORS, place="round 1", text="täxt")
    return tmp_path / "file"


def test_what_is_written_is_read(path: Path) -> None:
    tensors, text = read_tensors(path, place="round 1")
    assert text == "täxt"
    assert set(tensors) == {"a", "b"}
    for name, tensor in tensors.items():
        assert tensor.dtype == TENSORS[name].dtype
        assert np.array_equal(tensor, TENSORS[name])
    assert path.stat().st_mode & 0o777 == 0o600


def test_equal_tensors_give_equal_bytes(path: Path) -> None:
    whole = path.read_bytes()
    for _ in range(20):
        write_tensors(path, TENSORS, place="round 1", text="täxt")
        assert path.read_bytes() == whole


def test_a_file_of_another_place_is_refused(path: Path) -> None:
    with pytest.raises(TensorFileError, match="damaged"):
        read_tensors(path, place="round 2")
    with pytest.raises(TensorFileError, match="cannot be read"):
        read_tensors(path.with_name("other"), place="round 1")


def test_no_flipped_byte_changes_what_is_read(path: Path) -> None:
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            tensors, text = read_tensors(path, place="round 1")
        except TensorFileError:
            continue
        # Such as a blank of the header that became another blank.
        assert text == "täxt"
        assert all(np.array_equal(tensors[name], TENSORS[name]) for name in TENSORS)
    path.write_bytes(whole[:-1])
    with pytest.raises(TensorFileError):
        read_tensors(path, place="round 1")


def test_a_file_without_a_digest_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file(dict(TENSORS), tmp_path / "file")
    with pytest.raises(TensorFileError, match="cannot be read"):
        read_tensors(tmp_path / "file", place="")
