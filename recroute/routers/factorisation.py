"""Low-rank models of a score matrix with unobserved cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EXACT_LIMIT = 2000  # up to this smaller side the exact decomposition is as fast as a randomised one
N_ROUNDS = 10


def truncated_svd(matrix: Array, n_factors: int, seed: int = 0) -> tuple[Array, Array]:
    """Best rank-k approximation.

    Parameters
    ----------
    matrix : f64 (n, m)
    n_factors : int
        k; cut to the smaller side of the matrix.
    seed : int
        For the randomised algorithm that large matrices get.

    Returns
    -------
    left f64 (n, k) with orthonormal columns, right f64 (m, k) : matrix is about left @ right.T
    """
    n, m = matrix.shape
    k = min(n_factors, n, m)
    if min(n, m) > EXACT_LIMIT:
        from sklearn.utils.extmath import randomized_svd

        left, _, _ = randomized_svd(matrix, k, n_oversamples=16, n_iter=5, random_state=seed)
    elif n <= m:
        _, vectors = np.linalg.eigh(matrix @ matrix.T)
        left = vectors[:, ::-1][:, :k]
    else:
        _, vectors = np.linalg.eigh(matrix.T @ matrix)
        left, _ = np.linalg.qr(matrix @ vectors[:, ::-1][:, :k])
    # the sign of a singular vector is arbitrary: the largest entry is made positive, so that fits can be compared
    left = left * np.sign(left[np.abs(left).argmax(axis=0), np.arange(k)] + 1e-300)
    return left, matrix.T @ left


def fold_in(
    scores: Array, observed: Array, loadings: Array, mean: Array, cov: Array, noise: float
) -> tuple[Array, Array]:
    """Posterior of LLM vectors given some of their scores.

    The model is `scores[:, l] = loadings @ z[l] + noise`, z[l] ~ N(mean, cov), noise of variance `noise`.

    Parameters
    ----------
    scores : f64 (n, m)
        Anything where unobserved.
    observed : f64 (n, m)
        1 where observed, else 0.
    loadings : f64 (n, k)
    mean, cov : f64 (k,), f64 (k, k)
        The prior, learned from the known LLMs.
    noise : float

    Returns
    -------
    z f64 (m, k), covariance f64 (m, k, k)
    """
    n, k = loadings.shape
    precision = np.linalg.inv(cov)
    pairs = (loadings[:, :, None] * loadings[:, None, :]).reshape(n, k * k)
    gram = (observed.T @ pairs).reshape(-1, k, k) / noise  # (m, n) x (n, k*k): each LLM its own cells
    right = (np.where(observed > 0, scores, 0).T @ loadings) / noise + precision @ mean  # (m, k)
    covariance = np.linalg.inv(gram + precision)
    return (covariance @ right[:, :, None])[:, :, 0], covariance


def factorise(block: NDArray[np.floating], n_factors: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """LLM mean plus a low-rank model of the residual: `block` is about mean + left @ right.T.

    A complete block gets its column means and the truncated SVD of what they leave. Where cells are unobserved
    the same model is fitted by expectation maximisation: the LLMs' vectors (mean and factors) have a Gaussian
    prior learned from all LLMs, every LLM gets its posterior mean given its own cells (`fold_in`), the
    unobserved cells get what it predicts, and the decomposition is done again. So an LLM seen on one task only
    is placed near the LLMs that it resembles there instead of being called good or bad everywhere.
    Source: probabilistic PCA with missing values (Tipping and Bishop 1999).

    Parameters
    ----------
    block : float (n, m)
        NaN where unobserved.
    n_factors : int
    seed : int

    Returns
    -------
    mean f64 (m,), left f64 (n, k) with orthonormal columns, right f64 (m, k)
    """
    cells: Array = block.astype(np.float64)
    missing = np.isnan(cells)
    if not missing.any():
        mean = cells.mean(axis=0)
        return mean, *truncated_svd(cells - mean, n_factors, seed)
    observed = (~missing).astype(np.float64)
    filled = np.where(missing, _additive(cells, observed), cells)
    for _ in range(N_ROUNDS):
        mean = filled.mean(axis=0)
        left, right = truncated_svd(filled - mean, n_factors, seed)
        loadings = np.column_stack([np.ones(len(cells)), left])  # (n, 1 + k)
        z = np.column_stack([mean, right])  # (m, 1 + k)
        residual = np.where(missing, 0, filled - loadings @ z.T)
        noise = max(float((residual**2).sum() / observed.sum()), 1e-6)
        prior_cov = np.cov(z, rowvar=False) + 1e-6 * np.eye(z.shape[1])
        z, _ = fold_in(filled, observed, loadings, z.mean(axis=0), prior_cov, noise)
        filled = np.where(missing, np.clip(loadings @ z.T, 0, 1), cells)
    mean = filled.mean(axis=0)
    return mean, *truncated_svd(filled - mean, n_factors, seed)


def _additive(block: Array, observed: Array) -> Array:
    """Instance mean plus LLM deviation, f64 (n, m): the first guess for unobserved cells."""
    filled = np.nan_to_num(block)
    row = filled.sum(axis=1) / np.maximum(observed.sum(axis=1), 1)
    row = np.where(observed.any(axis=1), row, row[observed.any(axis=1)].mean())
    deviation = ((filled - row[:, None]) * observed).sum(axis=0) / np.maximum(observed.sum(axis=0), 1)
    guess: Array = np.clip(row[:, None] + deviation, 0, 1)
    return guess
