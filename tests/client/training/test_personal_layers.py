"""The store of a hospital's own layers: from round to round on disk, for the hospital alone, and never damaged."""

import shutil
import stat
from pathlib import Path

import numpy as np
import pytest

from client.rules.policy import HospitalFailure
from client.training.personal_layers import PersonalLayers
from common.models.tail_layout import TailLayout
from common.protocol.refusals import Failure

LAYOUT = TailLayout(("norm.weight", "norm.running_mean"), ((3,), (3,)))


def layers(value: float) -> np.ndarray:
    return np.full(LAYOUT.size, value, np.float32)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


def test_a_round_starts_from_the_layers_after_the_last_one_before_it(tmp_path: Path) -> None:
    own = PersonalLayers(tmp_path / "layers", "a", LAYOUT)
    assert own.after(0) is None
    for number in (1, 2, 5):
        own.keep(number, layers(number))
    found = [own.after(number) for number in range(7)]
    assert found[0] is None
    assert [one[0] for one in found[1:] if one is not None] == [1, 2, 2, 2, 5, 5]
    # A server that was set back asks for round 2 again: it starts as it did, and later rounds see what comes of it.
    own.keep(2, layers(2.5))
    assert np.array_equal(PersonalLayers(tmp_path / "layers", "a", LAYOUT).after(4), layers(2.5))
    assert PersonalLayers(tmp_path / "layers", "b", LAYOUT).after(5) is None


def test_only_the_hospital_can_read_them_and_few_federations_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "layers"
    for name in ("../../escape", "b", "c", "d"):
        PersonalLayers(folder, name, LAYOUT).keep(1, layers(1))
    assert PersonalLayers(folder, "../../escape", LAYOUT).after(1) is None
    assert len(files(folder)) == len(list(tmp_path.rglob("*.safetensors"))) == 3
    for path in files(folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_damaged_file_is_said_and_nothing_takes_its_place(tmp_path: Path) -> None:
    own = PersonalLayers(tmp_path, "a", LAYOUT)
    own.keep(1, layers(1))
    own.keep(2, layers(2))
    path = files(tmp_path)[1]
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(HospitalFailure, match="damaged") as failure:
            own.after(2)
        assert failure.value.kind == Failure.STATE
    for short in (whole[:-1], b""):
        path.write_bytes(short)
        with pytest.raises(HospitalFailure, match="damaged"):
            own.after(2)
    shutil.copy(files(tmp_path)[0], path)
    with pytest.raises(HospitalFailure, match="damaged"):
        own.after(2)
    path.unlink()
    assert np.array_equal(own.after(2), layers(1))


def test_layers_that_cannot_be_kept_fail_the_round(tmp_path: Path) -> None:
    (tmp_path / "layers").write_text("in the way")
    with pytest.raises(HospitalFailure, match="cannot be written") as failure:
        PersonalLayers(tmp_path / "layers", "a", LAYOUT).keep(1, layers(1))
    assert failure.value.kind == Failure.STATE
