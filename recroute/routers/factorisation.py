"""Low-rank models of a score matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recroute.data import InteractionMatrix
from recroute.data.cells import pass_over
from recroute.routers.subspace import EXACT_LIMIT, leading_factors, leading_subspace, orthogonal, signs
from recroute.routers.variational import factorise_missing, has_few_records
from recroute.util.numeric import Array, Floats

AT_ONCE = 1 << 25  # cells of the largest matrix that is decomposed in memory, in double precision
N_PASSES = 4  # over a larger matrix
PART = 5  # one row in so many; not a divisor of the number of tasks that take turns


def truncated_svd(matrix: Array, n_factors: int, seed: int = 0) -> tuple[Array, Array]:
    """Best rank-k approximation of a matrix: `left @ right.T`.

    Parameters
    ----------
    matrix : f64 (n, m)
    n_factors : int
        k; at most the smaller side of the matrix is used.
    seed : int
        Seed of the randomised algorithm used for large matrices.

    Returns
    -------
    left : f64 (n, k)
        Orthonormal columns.
    right : f64 (m, k)
    """
    n, m = matrix.shape
    k = min(n_factors, n, m)
    if min(n, m) > EXACT_LIMIT:
        from sklearn.utils.extmath import randomized_svd

        left, _, _ = randomized_svd(matrix, k, n_oversamples=16, n_iter=5, random_state=seed)
    elif n <= m:
        left = leading_factors(matrix @ matrix.T, k)[1]
    else:
        left, _ = np.linalg.qr(matrix @ leading_factors(matrix.T @ matrix, k)[1])
    left = left * signs(left)
    return left, matrix.T @ left


def fold_in(
    scores: Array, observed: Array, loadings: Array, mean: Array, cov: Array, noise: float
) -> tuple[Array, Array]:
    """Posterior of LLM vectors given some of their scores.

    The model is `scores[:, l] = loadings @ z[l] + error` with z[l] ~ N(mean, cov) and error of variance `noise`.

    Parameters
    ----------
    scores : f64 (n, m)
        Unobserved cells are ignored.
    observed : f64 (n, m)
        1 where observed, else 0.
    loadings : f64 (n, k)
    mean, cov : f64 (k,), f64 (k, k)
        Prior of the LLM vectors.
    noise : float

    Returns
    -------
    z : f64 (m, k)
        Posterior means.
    covariance : f64 (m, k, k)
    """
    n, k = loadings.shape
    pairs = (loadings[:, :, None] * loadings[:, None, :]).reshape(n, k * k)
    gram = (observed.T @ pairs).reshape(-1, k, k)  # (m, n) x (n, k*k): over each LLM's own cells
    return fold_in_sums(gram, np.where(observed > 0, scores, 0).T @ loadings, mean, cov, noise)


def fold_in_sums(gram: Array, right: Array, mean: Array, cov: Array, noise: float) -> tuple[Array, Array]:
    """`fold_in` from sums over observed cells: products of loadings f64 (m, k, k), and with scores f64 (m, k)."""
    precision = np.linalg.inv(cov)
    covariance = np.linalg.inv(gram / noise + precision)
    return (covariance @ (right / noise + precision @ mean)[:, :, None])[:, :, 0], covariance


def factorise(matrix: InteractionMatrix, n_factors: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """LLM means plus a low-rank model of the residual: `scores = mean + left @ right.T` approximately.

    Unobserved cells are first `completed` with the same number of factors; then the column means and the truncated SVD
    of the centred matrix are computed. With few records an instance, it is the model of `factorise_missing` itself.

    Parameters
    ----------
    matrix : InteractionMatrix (n, m)
    n_factors : int
        k; at most the smaller side of the matrix is used.
    seed : int

    Returns
    -------
    mean : f64 (m,)
    left : f64 (n, k)
        Orthonormal columns.
    right : f64 (m, k)
    """
    known = None if matrix.is_complete else factorise_missing(matrix, n_factors, seed)
    if known is not None and has_few_records(matrix):
        return known
    scores, (n, m) = (matrix.dense if known is None else _filled(matrix, *known)), matrix.shape
    if n * m <= AT_ONCE:
        cells = scores(slice(None)).astype(np.float64)
        mean: Array = cells.mean(axis=0)
        return mean, *truncated_svd(cells - mean, n_factors, seed)
    total = sum(column for column in pass_over((n, m), lambda rows: scores(rows).sum(axis=0, dtype=np.float64)))
    mean = np.asarray(total / n)
    centre = mean.astype(np.float32)

    def residual(rows: slice) -> Floats:
        block = scores(rows)
        block -= centre
        return block

    start, n_passes = (None, N_PASSES) if known is None else (known[2], 2)
    left, right = leading_subspace(residual, (n, m), min(n_factors, n, m), n_passes, seed, start)
    return orthogonal(mean, left, right)


def completed(matrix: InteractionMatrix, n_factors: int, seed: int = 0) -> Callable[[slice], Floats]:
    """Function that returns rows f32 (b, m) of the matrix with unobserved cells imputed by `factorise_missing`."""
    if matrix.is_complete:
        return matrix.dense
    return _filled(matrix, *factorise_missing(matrix, n_factors, seed))


def _filled(matrix: InteractionMatrix, mean: Array, left: Array, right: Array) -> Callable[[slice], Floats]:
    loadings = np.column_stack([np.ones(len(left)), left]).astype(np.float32)
    vectors = np.column_stack([mean, right]).astype(np.float32)

    def rows_of(rows: slice) -> Floats:
        scores, observed = matrix.block(rows)
        filled: Floats = loadings[rows] @ vectors.T  # (b, 1 + k) x (1 + k, m)
        np.clip(filled, 0, 1, out=filled)
        np.subtract(1, observed, out=observed)
        filled *= observed
        filled += scores
        return filled

    return rows_of


def interaction_factors(
    scores: Callable[[slice], Floats], shape: tuple[int, int], n_factors: int, seed: int = 0
) -> tuple[Array, Array, Array, Array]:
    """Factorise the interaction part of a complete matrix: `scores = mean + difficulty[:, None] + left @ right.T`.

    Parameters
    ----------
    scores : callable
        Maps a slice of rows to scores f32 (b, m), as returned by `completed`.
    shape : (n, m)
    n_factors : int
        k; at most the smaller side is used.
    seed : int

    Returns
    -------
    mean : f64 (m,)
        LLM means.
    difficulty : f64 (n,)
        Deviation of each instance's mean from the overall mean.
    left : f64 (n, k)
        Orthonormal columns.
    right : f64 (m, k)
    """
    n, m = shape
    if n * m <= AT_ONCE:
        cells = scores(slice(None)).astype(np.float64)
        mean: Array = cells.mean(axis=0)
        cells -= mean
        difficulty: Array = cells.mean(axis=1)
        return mean, difficulty, *truncated_svd(cells - difficulty[:, None], n_factors, seed)

    def sums(rows: slice) -> tuple[slice, Array, Array]:
        block = scores(rows)
        return rows, block.sum(axis=0, dtype=np.float64), block.mean(axis=1, dtype=np.float64)

    total, of_instance = np.zeros(m), np.empty(n)
    for rows, column, row in pass_over(shape, sums):
        total += column
        of_instance[rows] = row
    mean, difficulty = total / n, of_instance - of_instance.mean()
    mean32, difficulty32 = mean.astype(np.float32), difficulty.astype(np.float32)

    def residual(rows: slice) -> Floats:
        block = scores(rows)
        block -= mean32
        block -= difficulty32[rows, None]
        return block

    k = min(n_factors, n, m)
    part = (n // PART, m)  # of the rows, for a start that is near to the end

    def of_part(rows: slice) -> Floats:
        return residual(slice(rows.start * PART, rows.stop * PART, PART))

    start = leading_subspace(of_part, part, min(k + 8, *part), N_PASSES, seed)[1]
    left, right = leading_subspace(residual, shape, k, 2, seed, start)
    _, left, right = orthogonal(mean, left, right)
    return mean, difficulty, left, right
