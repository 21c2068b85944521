import numpy as np
import pytest

from client.training.update_clipping import clip_update

CHANGE = np.array([3, -4], np.float32)


@pytest.mark.parametrize("limit", [0, 5, 6])
def test_a_change_within_the_limit_stays_as_it_is(limit: float) -> None:
    assert clip_update(CHANGE, limit) is CHANGE


def test_a_larger_change_keeps_its_direction() -> None:
    clipped = clip_update(CHANGE, 1)
    assert clipped.dtype == np.float32
    assert clipped.tolist() == pytest.approx([0.6, -0.8])
