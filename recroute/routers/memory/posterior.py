"""Posterior of unseen LLMs given some of their scores, and empirical-Bayes shrinkage of prompt loadings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.data import InteractionMatrix
from recroute.data.cells import pass_over
from recroute.routers.factorisation import fold_in, fold_in_sums
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
    scores : f32 (a, j)
        NaN where unobserved.
    expected : f32 (a, m)
    log_weights : f64 (j, m)
        Log prior weights.

    Returns
    -------
    f32 (j, m), rows sum to 1
    """
    right, wrong = np.nan_to_num(scores), np.nan_to_num(1 - scores)
    # (j, a) x (a, m) -> (j, m)
    log_posterior = log_weights + right.T @ np.log(expected) + wrong.T @ np.log1p(-expected)
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


def shrink_loadings(matrix: InteractionMatrix, loadings: Array, vectors: Array) -> tuple[Array, Array]:
    """Empirical-Bayes shrinkage of prompt loadings estimated from few LLMs.

    Loadings estimated from few LLMs are mostly noise, and the prompts that seem most informative are the noisiest. So
    the loadings get a Gaussian prior learned from all prompts, `loadings[i] ~ N(center, cov)`. With hundreds of LLMs it
    has no effect.
    Source: expectation maximisation (Dempster, Laird and Rubin 1977), here with fixed LLM vectors.

    Parameters
    ----------
    matrix : InteractionMatrix (n, m)
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
    n_llms, k = vectors.shape
    second_moment = vectors.T @ vectors / n_llms
    own = _OwnSums.of(matrix, vectors)
    count = matrix.instance_counts
    squares = own.squares(loadings)
    residual = np.where(count > 0, squares / np.maximum(count, 1), squares.sum() / count.sum())
    noise = residual * n_llms / max(n_llms - k, 1)
    center, cov = loadings.mean(axis=0), np.cov(loadings, rowvar=False) + 1e-9 * np.eye(k)
    for _ in range(N_ROUNDS):
        loadings, open_cov = fold_in_sums(own.gram, own.right, center, cov, max(float(noise.mean()), MIN_NOISE))
        open_variance = np.einsum("nkl,kl->n", open_cov, second_moment, optimize=True)
        squares = own.squares(loadings)
        noise = np.full(len(loadings), (squares.sum() + count @ open_variance) / count.sum())
        center = loadings.mean(axis=0)
        away = loadings - center
        cov = (
            away.T @ away / len(away) + open_cov.mean(axis=0) + 1e-12 * np.eye(k)
        )  # invertible if all prompts are alike
    noise = (squares + count * open_variance + noise) / (count + 1)
    return loadings, np.maximum(noise + open_variance, MIN_NOISE)


@dataclass(frozen=True, eq=False)
class _OwnSums:
    """Sums over each prompt's observed cells: all that regressions of its scores on the LLMs' vectors need.

    Parameters
    ----------
    gram : f64 (n, k, k)
        Products of the LLMs' vectors.
    right : f64 (n, k)
        Vectors times scores.
    squared : f64 (n,)
        Squared scores.
    """

    gram: Array
    right: Array
    squared: Array

    @classmethod
    def of(cls, matrix: InteractionMatrix, vectors: Array) -> _OwnSums:
        k = vectors.shape[1]
        first, second = np.triu_indices(k)
        pairs = vectors[:, first] * vectors[:, second]
        complete, n_llms = pairs.sum(axis=0), len(vectors)

        def sums(rows: slice) -> tuple[Array, Array, Array]:
            scores, observed = (cells.astype(np.float64) for cells in matrix.block(rows))
            seen_all = (matrix.instance_counts[rows] == n_llms).all()
            packed = np.tile(complete, (len(scores), 1)) if seen_all else observed @ pairs  # (b, m) x (m, k(k+1)/2)
            return packed, scores @ vectors, np.einsum("nm,nm->n", scores, scores)

        packed, right, squared = map(np.concatenate, zip(*pass_over(matrix.shape, sums), strict=True))
        gram = np.empty((len(packed), k, k))
        gram[:, first, second] = gram[:, second, first] = packed
        return cls(gram, right, squared)

    def squares(self, loadings: Array) -> Array:
        """Sum f64 (n,) of the squared residuals of each prompt's scores."""
        explained = 2 * self.right - (self.gram @ loadings[:, :, None])[:, :, 0]
        return np.maximum(self.squared - (explained * loadings).sum(axis=1), 0)
