"""Prompts' loadings as far as so many known LLMs can tell them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.routers.factorisation import fold_in
from recroute.util.numeric import Array

N_ROUNDS = 5
MIN_NOISE = 0.02


def shrink_loadings(block: NDArray[np.floating], loadings: Array, vectors: Array) -> tuple[Array, Array]:
    """Posterior of each prompt's loadings, and the variance of its scores around what they predict.

    From few LLMs a prompt's loadings are mostly chance, and the prompts that seem to tell most are those of the most
    chance. So prompts have a Gaussian prior, learned from all of them: `loadings[i] ~ N(center, cov)`, and each keeps
    what its own scores support. With hundreds of LLMs nothing changes. Source: empirical Bayes by expectation
    maximisation (Dempster, Laird and Rubin 1977), here with the LLMs' vectors held.

    Parameters
    ----------
    block : float (n, m)
        NaN where unobserved.
    loadings : f64 (n, 1 + k)
        The start.
    vectors : f64 (m, 1 + k)

    Returns
    -------
    loadings f64 (n, 1 + k), noise f64 (n,): it includes what the loadings leave open for a typical LLM
    """
    observed = ~np.isnan(block)
    n_llms, k = vectors.shape
    scores = np.nan_to_num(block).astype(np.float64)
    second_moment = vectors.T @ vectors / n_llms
    count = observed.sum(axis=1)
    noise = _residual(scores, observed, loadings, vectors) * n_llms / max(n_llms - k, 1)
    center, cov = loadings.mean(axis=0), np.cov(loadings, rowvar=False) + 1e-9 * np.eye(k)
    for _ in range(N_ROUNDS):
        loadings, open_cov = fold_in(scores.T, observed.T, vectors, center, cov, max(float(noise.mean()), MIN_NOISE))
        open_variance = np.einsum("nkl,kl->n", open_cov, second_moment, optimize=True)
        squares = np.where(observed, scores - loadings @ vectors.T, 0) ** 2
        noise = np.full(len(scores), (squares.sum() + count @ open_variance) / count.sum())
        center = loadings.mean(axis=0)
        away = loadings - center
        cov = away.T @ away / len(away) + open_cov.mean(axis=0) + 1e-12 * np.eye(k)  # prompts may be all alike
    own = squares.sum(axis=1) + count * open_variance
    noise = (own + noise) / (count + 1)
    return loadings, np.maximum(noise + open_variance, MIN_NOISE)


def _residual(scores: Array, observed: NDArray[np.bool_], loadings: Array, vectors: Array) -> Array:
    """Mean square f64 (n,) of what the loadings leave of each prompt's scores; the mean where there are none."""
    squares = np.where(observed, scores - loadings @ vectors.T, 0) ** 2
    count = observed.sum(axis=1)
    return np.where(count > 0, squares.sum(axis=1) / np.maximum(count, 1), squares.sum() / observed.sum())
