"""Leading factors of a large score matrix, by randomised subspace iteration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recroute.data.cells import pass_over
from recroute.util.numeric import Array, Floats


def leading_subspace(
    residual: Callable[[slice], Floats],
    shape: tuple[int, int],
    n_factors: int,
    n_passes: int,
    seed: int,
    start: Array | None = None,
) -> tuple[Array, Array]:
    """Leading factors of a matrix that is computed block by block: `matrix = left @ right.T` approximately.

    Source: Halko, Martinsson and Tropp, Finding structure with randomness, SIAM Review 2011.

    Parameters
    ----------
    residual : callable
        Maps a slice of rows to the rows f32 (b, m) of the matrix.
    shape : (n, m)
    n_factors : int
        k, at most the smaller side.
    n_passes : int
        Passes over the matrix; each multiplies with the matrix and its transpose.
    seed : int
    start : f64 (m, q), optional
        Initial guess of right factors; random columns complete it.

    Returns
    -------
    left : f64 (n, k)
    right : f64 (m, k)
        Orthonormal columns, strongest first.
    """
    n, m = shape
    width = min(n_factors + 8, n, m)
    image = np.random.default_rng(seed).standard_normal((width, m))
    if start is not None:
        image[: start.shape[1]] = start.T / max(float(np.linalg.norm(start, axis=0).max(initial=0)), 1e-12)
    left = np.empty((n, width))
    for _ in range(n_passes):
        basis = np.linalg.qr(image.T)[0]
        narrow = basis.astype(np.float32)

        def work(rows: slice, narrow: Floats = narrow) -> tuple[slice, Floats, Array]:
            block = residual(rows)
            product = block @ narrow  # (b, m) x (m, w)
            return rows, product, (product.T @ block).astype(np.float64)

        image = np.zeros((width, m))
        for rows, product, back in pass_over(shape, work):
            left[rows] = product
            image += back
    strength, axes = np.linalg.eigh(image @ basis)  # (R V)'(R V) for residual R and basis V: its leading eigenvectors
    axes = axes[:, np.argsort(-strength)[:n_factors]]
    return left @ axes, basis @ axes


def orthogonal(bias: Array, instance_factors: Array, llm_factors: Array) -> tuple[Array, Array, Array]:
    """Rewrite a factor model with centred orthonormal instance factors, strongest first.

    Parameters
    ----------
    bias : f64 (m,)
    instance_factors : f64 (n, k)
    llm_factors : f64 (m, k)

    Returns
    -------
    mean : f64 (m,)
    left : f64 (n, k)
    right : f64 (m, k)
    """
    centre = instance_factors.mean(axis=0)
    left, R = np.linalg.qr(instance_factors - centre)
    axes, strength, right = np.linalg.svd(R @ llm_factors.T, full_matrices=False)
    left = left @ axes
    sign = signs(left)
    return bias + llm_factors @ centre, left * sign, right.T * strength * sign


def signs(left: Array) -> Array:
    """Signs (k,) that make the largest entry of each column positive, to fix the arbitrary sign of singular vectors."""
    return np.asarray(np.sign(left[np.abs(left).argmax(axis=0), np.arange(left.shape[1])] + 1e-300))
