"""Leading factors: of a large score matrix by randomised subspace iteration, and of a covariance of LLMs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recroute.data.cells import pass_over
from recroute.util.numeric import Array, Floats
from recroute.util.threads import one_blas_thread

EXACT_LIMIT = 2000  # up to this (smaller) side an exact decomposition is as fast as an iterative one
FEW = 0.25  # share of the eigenvectors up to which they are computed alone, in a third to two thirds of the time
N_ROUNDS = 8  # of factor analysis


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


def leading_factors(covariance: Array, n_factors: int) -> tuple[Array, Array]:
    """Largest eigenvalues f64 (k,) and their eigenvectors f64 (m, k) of a covariance f64 (m, m)."""
    m = len(covariance)
    k = min(n_factors, m)
    if k > FEW * m:
        value, vectors = np.linalg.eigh(covariance)
    elif m <= EXACT_LIMIT:
        from scipy.linalg import eigh

        with one_blas_thread():  # the import may have loaded another BLAS
            value, vectors = eigh(covariance, subset_by_index=(m - k, m - 1))
    else:
        from scipy.sparse.linalg import eigsh

        value, vectors = eigsh(covariance, k, v0=np.ones(m))
    return value[::-1][:k], vectors[:, ::-1][:, :k]


def common_factors(covariance: Array, n_factors: int) -> tuple[Array, Array]:
    """Factor analysis of a covariance f64 (m, m): `factors @ factors.T` plus a diagonal.

    Source: principal factor analysis, e.g. Harman, Modern Factor Analysis, 1976.

    Returns
    -------
    factors : f64 (m, k)
    own : f64 (m,)
        Variance that is not shared; at least a twentieth of the whole.
    """
    variance, reduced = covariance.diagonal(), covariance.copy()
    shared = variance / 2
    for _ in range(N_ROUNDS):
        np.fill_diagonal(reduced, shared)
        value, vectors = leading_factors(reduced, n_factors)
        factors = vectors * np.sqrt(value.clip(min=0))
        shared = np.minimum((factors**2).sum(axis=1), 0.95 * variance)
    return factors, np.maximum(variance - (factors**2).sum(axis=1), 0.05 * variance)
