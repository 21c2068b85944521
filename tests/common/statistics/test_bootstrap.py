"""The draws of patients."""

import numpy as np

from common.statistics.bootstrap import Bootstrap


def test_patients_are_drawn_whole_and_as_many_as_there_are() -> None:
    patients = np.array(["b", "a", "b", "c", "c", "c"])
    weights = Bootstrap.draw(patients).weights
    assert weights.shape == (2000, 6)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 3], weights[:, 5])
    np.testing.assert_array_equal(weights[:, [0, 1, 3]].sum(axis=1), 3)
    # Each patient's count is binomial (3, 1/3).
    np.testing.assert_allclose(weights[:, [0, 1, 3]].mean(axis=0), 1, atol=0.06)
    np.testing.assert_allclose(weights[:, [0, 1, 3]].var(axis=0), 2 / 3, atol=0.06)


def test_the_draws_are_the_same_everywhere() -> None:
    patients = [f"p{index}" for index in range(5)]
    first = Bootstrap.draw(patients, resamples=3).weights
    # Written down once: another machine, or another release of NumPy, has to find the same.
    assert first.tolist() == [[1.0, 0.0, 2.0, 0.0, 2.0], [1.0, 0.0, 1.0, 2.0, 1.0], [2.0, 0.0, 1.0, 1.0, 1.0]]
    order = [3, 0, 4, 1, 2]
    shuffled = Bootstrap.draw([patients[index] for index in order], resamples=3).weights
    np.testing.assert_array_equal(shuffled, first[:, order])
    assert not np.array_equal(first, Bootstrap.draw(patients, resamples=3, seed=1).weights)


def test_nobody_can_be_drawn_from_nobody() -> None:
    assert Bootstrap.draw([], resamples=7).weights.shape == (7, 0)
