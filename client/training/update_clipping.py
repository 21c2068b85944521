"""The limit on the norm of an update, which the plan sets as `privacy.update_clip_norm`."""

import numpy as np
from numpy.typing import NDArray


def clip_update(change: NDArray[np.float32], limit: float) -> NDArray[np.float32]:
    """Return a change of the tail, scaled down if its norm is above the limit.

    Parameters
    ----------
    change : ndarray of float32, shape (layout.size,)
        Tail after local training minus the global tail.
    limit : float
        Largest L2 norm; 0: no limit.

    Returns
    -------
    ndarray of float32, shape (layout.size,)
    """
    norm = float(np.linalg.norm(change))
    return change if not limit or norm <= limit else (change * (limit / norm)).astype(np.float32)
