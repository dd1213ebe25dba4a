"""Posterior of unseen LLMs given some of their scores, and empirical-Bayes shrinkage of prompt loadings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.routers.factorisation import fold_in
from recroute.util.numeric import Array, Floats

# Expected scores are clipped to [0.1, 0.9], so that a single unexpected answer cannot rule out a known LLM.
MIN_EXPECTED = 0.1
N_ROUNDS = 5  # of expectation maximisation
MIN_NOISE = 0.02


@dataclass(frozen=True, eq=False)
class Posterior:
    """Expected scores of j unseen LLMs on the n training prompts.

    Parameters
    ----------
    n_answers : int (j,)
        Number of observed scores of each LLM.
    resemblance : f32 (j, m)
        Posterior weight of each known LLM; rows sum to 1.
    vectors : f64 (j, 1 + k)
        Posterior means; `prior.loadings @ vectors.T` are the predicted scores.
    covariance : f64 (j, 1 + k, 1 + k)
        Posterior covariances of the vectors.
    columns : f32 (n, j)
        Observed scores and, where unobserved, expected ones in [0, 1].
    variance : f32 (n, j)
        Predictive variance of a single score, including its noise; 0 where observed.
    mean : f64 (j,)
        Expected mean score over all training prompts.
    interval : f64 (j, 2)
        90% interval of the mean score.
    task_mean : f64 (j, t)
        Expected mean score on each task, in the order of `prior.task_names`.
    task_interval : f64 (j, t, 2)
        90% intervals of these.
    """

    n_answers: NDArray[np.int64]
    resemblance: Floats
    vectors: Array
    covariance: Array
    columns: Floats
    variance: Floats
    mean: Array
    interval: Array
    task_mean: Array
    task_interval: Array


def expected_scores(loadings: Array, vectors: Array) -> Floats:
    """Expected scores f32 (n, m) for loadings f64 (n, 1 + k) and LLM vectors f64 (m, 1 + k), clipped to [0.1, 0.9]."""
    return np.clip(loadings @ vectors.T, MIN_EXPECTED, 1 - MIN_EXPECTED).astype(np.float32)


def resemblances(scores: Floats, expected: Floats, log_weights: Array) -> Floats:
    """Posterior probability that each unseen LLM answers like each known one.

    `weight[l] ~ prior[l] * prod_i p[i,l]**s[i] * (1 - p[i,l])**(1 - s[i])` over the observed scores s, a product of
    Bernoulli likelihoods in which p is the expected score of known LLM l.

    Parameters
    ----------
    scores : f32 (n, j)
        NaN where unobserved.
    expected : f32 (n, m)
    log_weights : f64 (j, m)
        Log prior weights.

    Returns
    -------
    f32 (j, m), rows sum to 1
    """
    rows = np.flatnonzero((~np.isnan(scores)).any(axis=1))
    part, p = scores[rows], expected[rows]
    right, wrong = np.nan_to_num(part), np.nan_to_num(1 - part)
    log_posterior = log_weights + right.T @ np.log(p) + wrong.T @ np.log1p(-p)  # (j, a) x (a, m) -> (j, m)
    weights = np.exp(log_posterior - log_posterior.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def locate(
    scores: Floats, weights: Floats, loadings: Array, vectors: Array, local_cov: Array, noise: Array
) -> tuple[Array, Array]:
    """Posterior means and covariances of the vectors of unseen LLMs.

    An unseen LLM is a known one, drawn with probability `weights`, plus a deviation d ~ N(0, local_cov). The Gaussian
    update of d has the same gain for every known LLM, so the mean of the mixture is updated as a whole.

    Parameters
    ----------
    scores : f32 (n, j)
        NaN where unobserved.
    weights : f32 (j, m)
    loadings : f64 (n, k), vectors : f64 (m, k), local_cov : f64 (k, k)
    noise : f64 (n,)
        Variance of a score given the vector.

    Returns
    -------
    mean : f64 (j, k)
    covariance : f64 (j, k, k)
    """
    m, k = vectors.shape
    mean = weights @ vectors  # (j, m) x (m, k)
    pairs = (vectors[:, :, None] * vectors[:, None, :]).reshape(m, k * k)
    between = (weights @ pairs).reshape(-1, k, k) - mean[:, :, None] * mean[:, None, :]
    sd = np.sqrt(noise)[:, None]
    surprise = (scores - loadings @ mean.T) / sd
    deviation, local = fold_in(surprise, ~np.isnan(scores), loadings / sd, np.zeros(k), local_cov, 1.0)
    unresolved = local @ np.linalg.inv(local_cov)  # (j, k, k): share of a deviation that the scores do not determine
    return mean + deviation, unresolved @ between @ unresolved.transpose(0, 2, 1) + local


def shrink_loadings(block: NDArray[np.floating], loadings: Array, vectors: Array) -> tuple[Array, Array]:
    """Empirical-Bayes shrinkage of prompt loadings estimated from few LLMs.

    Loadings estimated from few LLMs are mostly noise, and the prompts that seem most informative are the noisiest. So
    the loadings get a Gaussian prior learned from all prompts, `loadings[i] ~ N(center, cov)`. With hundreds of LLMs it
    has no effect.
    Source: expectation maximisation (Dempster, Laird and Rubin 1977), here with fixed LLM vectors.

    Parameters
    ----------
    block : float (n, m)
        NaN where unobserved.
    loadings : f64 (n, 1 + k)
        Initial values.
    vectors : f64 (m, 1 + k)

    Returns
    -------
    loadings : f64 (n, 1 + k)
        Posterior means.
    noise : f64 (n,)
        Variance of a prompt's scores around the prediction, including the uncertainty of its loadings for a typical
        LLM.
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
        cov = (
            away.T @ away / len(away) + open_cov.mean(axis=0) + 1e-12 * np.eye(k)
        )  # invertible if all prompts are alike
    own = squares.sum(axis=1) + count * open_variance
    noise = (own + noise) / (count + 1)
    return loadings, np.maximum(noise + open_variance, MIN_NOISE)


def _residual(scores: Array, observed: NDArray[np.bool_], loadings: Array, vectors: Array) -> Array:
    """Mean squared residual f64 (n,) of each prompt's scores; the overall mean for prompts without scores."""
    squares = np.where(observed, scores - loadings @ vectors.T, 0) ** 2
    count = observed.sum(axis=1)
    return np.where(count > 0, squares.sum(axis=1) / np.maximum(count, 1), squares.sum() / observed.sum())
