"""The few directions of the prompt vectors in which a router's error may vary."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.data import Prompts
from recroute.errors import RouterError
from recroute.routers.core import RouterCore
from recroute.util.numeric import Array


def principal_directions(vectors: NDArray[np.float32] | None, n_dims: int) -> tuple[Array, Array]:
    """Centre f64 (d,) and projection f64 (d, k) of training vectors f32 (n, d) to their first principal components.

    The projected training vectors have mean squared length 1. Without vectors, or if all are equal, d and k are 0.
    """
    from scipy.linalg import eigh

    nothing = np.zeros(0), np.zeros((0, 0))
    if vectors is None or n_dims == 0 or len(vectors) < 2:
        return nothing
    centre = vectors.mean(axis=0, dtype=np.float64)
    centred = vectors - centre
    d = len(centre)
    with threadpool_limits(limits=1, user_api="blas"):
        moments = centred.T @ centred / len(centred)  # (d, n) x (n, d)
        value, direction = eigh(moments, subset_by_index=[max(0, d - n_dims), d - 1])
    kept = np.flatnonzero(value > max(1e-9 * value[-1], 1e-12))[::-1]
    if len(kept) == 0:
        return nothing
    projection = direction[:, kept] / np.sqrt(value[kept].sum())
    largest = projection[np.abs(projection).argmax(axis=0), np.arange(len(kept))]
    return centre, projection * np.sign(largest)  # an eigenvector's sign is arbitrary


def training_vectors(router: RouterCore, training: Prompts | None) -> NDArray[np.float32] | None:
    """Vectors f32 (n, d) of training prompts; None if the router reads no text or they cannot be had."""
    if training is None or router.encoder_ is None or router.reads not in ("text", "prompts"):
        return None
    try:
        return training.encoded(router.encoder_)
    except RouterError:  # the vectors were made elsewhere, or there are no texts
        return None
