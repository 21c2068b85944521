"""Sums over the images of each patient, the independent unit of every interval and test."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def sum_by_patient(values: ArrayLike, patients: ArrayLike) -> NDArray[np.float64]:
    """Add up the images' values by patient.

    Parameters
    ----------
    values : array_like of float, shape (N,)
        One per image.
    patients : array_like of str, shape (N,)
        Patient of each image.

    Returns
    -------
    ndarray of float64, shape (patients,)
        In the order of the patients' names.
    """
    _, patient_of_image = np.unique(np.asarray(patients, dtype=np.str_), return_inverse=True)
    return np.bincount(patient_of_image, weights=np.asarray(values)).astype(np.float64)
