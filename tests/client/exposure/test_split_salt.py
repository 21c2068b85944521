"""The secret of a hospital's split."""

from pathlib import Path

import pytest

from client.exposure.split_salt import split_seed
from client.rules.policy import HospitalFailure


def test_the_salt_is_drawn_once_and_no_one_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "split.salt"
    seed = split_seed(path)
    assert split_seed(path) == seed
    assert path.stat().st_mode & 0o777 == 0o600
    assert split_seed(tmp_path / "other.salt") != seed
    assert seed.bit_length() > 64


@pytest.mark.parametrize("content", ["", "MUELLER", "12\n13"])
def test_a_salt_that_was_changed_is_not_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "split.salt"
    path.write_text(content)
    with pytest.raises(HospitalFailure, match="restore it from a backup"):
        split_seed(path)
