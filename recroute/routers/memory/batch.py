"""Fixed order in which to run prompts on an unseen LLM, and the greedy choice that it begins with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from recroute.data import InteractionMatrix
from recroute.routers.memory.posterior import MIN_NOISE, expected_scores
from recroute.util.numeric import Array, Floats, Index

MAX_LLMS = 2000  # known LLMs whose covariance is used
MAX_CHOSEN = 128  # prompts chosen jointly
LLMS_EACH = 4  # known LLMs for each prompt chosen by covariance; more prompts would fit the noise of a few LLMs
LLMS_EACH_SIMULATED = 2  # known LLMs for each prompt chosen by simulation
MANY_LLMS = 128  # known LLMs whose covariance is precise enough to choose by


def batch_order(
    matrix: InteractionMatrix,
    loadings: Array,
    vectors: Array,
    families: NDArray[np.int64],
    task: NDArray[np.int64],
    seed: int,
) -> Index:
    """Order int64 (n,) in which to run all training prompts on an unseen LLM if they are run in one batch.

    The first prompts together tell most about the mean score. With 128 known LLMs or more they are chosen by the
    covariance of prompts over these: greedy choice, which is orthogonal matching pursuit with a ridge, one for every
    four known LLMs and at most 128. With fewer they are those that `simulated` finds, one for every two known LLMs. The
    others follow at random, with tasks in proportion to their size, because few LLMs do not tell which are better.

    Parameters
    ----------
    matrix : InteractionMatrix (n, m)
        Scores of the known LLMs.
    loadings : f64 (n, 1 + k), vectors : f64 (m, 1 + k)
        Their model, which fills the gaps.
    families : int64 (m,)
        Number of each LLM's family; an LLM of unknown family has its own.
    task : int64 (n,)
    seed : int
    """
    rng = np.random.default_rng([seed, 9])
    n, m = matrix.shape
    if m < MANY_LLMS:
        first = simulated(matrix.dense(), loadings, vectors, families, min(m // LLMS_EACH_SIMULATED, n))
    else:
        llms = np.arange(m) if m <= MAX_LLMS else np.sort(rng.choice(m, MAX_LLMS, replace=False))
        away = _completed(matrix.take_llms(llms).dense(), loadings, vectors[llms])
        away = (away - away.mean(axis=1, keepdims=True)) / np.float32(np.sqrt(away.shape[1]))
        n_chosen = min(m // LLMS_EACH, MAX_CHOSEN, n)
        first = greedy(away, np.full(n, MIN_NOISE), n_chosen, np.zeros(n, dtype=bool))
    rest = stratified_order(task, rng)
    return np.concatenate([first, rest[~np.isin(rest, first)]])


def simulated(block: Floats, loadings: Array, vectors: Array, families: NDArray[np.int64], k: int) -> Index:
    """The k prompts that leave the smallest standard deviation of the mean score, on average over unseen LLMs.

    Known LLMs are treated as unseen: each gives its own answers to the prompts chosen so far, and resembles LLMs of
    other families only. Prompts are chosen one after the other. `block` f32 (n, m) are scores, NaN where unobserved;
    the other parameters are those of `batch_order`.
    """
    answers, expected = _completed(block, loadings, vectors), expected_scores(loadings, vectors)
    mean_score = (vectors @ loadings.mean(axis=0)).astype(np.float32)
    log_posterior = np.where(families[:, None] == families, -1e9, 0.0)
    chosen = np.empty(k, dtype=np.int64)
    for step in range(k):
        gain, variance = gains(log_posterior, expected, mean_score)
        left = np.sqrt(np.maximum(variance - gain, 0)).mean(axis=1)
        left[chosen[:step]] = np.inf
        chosen[step] = i = int(left.argmin())
        log_posterior += log_likelihood(answers[i], expected[i])
    return chosen


def gains(log_posterior: Array, expected: Floats, mean_score: Floats) -> tuple[Floats, Floats]:
    """Reduction f32 (n, j) of the variance of j unseen LLMs' mean scores by one more score, and the variance f32 (j,).

    An unseen LLM answers like one of the known LLMs, with the probability that `log_posterior` (j, m) gives up to a
    constant. `expected` f32 (n, m) are these LLMs' expected scores, `mean_score` f32 (m,) their means.
    """
    weights = np.exp(log_posterior - log_posterior.max(axis=1, keepdims=True)).astype(np.float32)
    weights /= weights.sum(axis=1, keepdims=True)
    deviation = weights * (mean_score - (weights @ mean_score)[:, None])  # (j, m)
    p = expected @ weights.T  # (n, m) x (m, j)
    return (expected @ deviation.T) ** 2 / (p * (1 - p)), deviation @ mean_score


def log_likelihood(score: Floats, expected: Floats) -> Array:
    """Log-likelihood f64 (j, m) of one score of each of j LLMs, if it is like each of m known ones."""
    right, wrong = np.log(expected), np.log1p(-expected)
    return np.asarray(score[:, None] * right + (1 - score[:, None]) * wrong, dtype=np.float64)


def _completed(block: Floats, loadings: Array, vectors: Array) -> Floats:
    """Scores f32 (n, m) of known LLMs, expected ones where unobserved."""
    return np.where(np.isnan(block), np.clip(loadings @ vectors.T, 0, 1), block).astype(np.float32)


def stratified_order(task: NDArray[np.int64], rng: np.random.Generator) -> Index:
    """Random order int64 (n,) of prompts, every start of which has tasks in proportion to their size."""
    order = rng.permutation(len(task))
    rank = np.empty(len(order))
    for t in np.unique(task):
        rows = np.flatnonzero(task[order] == t)
        rank[rows] = (np.arange(len(rows)) + rng.random()) / len(rows)
    return order[np.argsort(rank, kind="stable")]


def of_mean(reached: Array, total: Array) -> Array:
    """Reduction of the variance of the mean score by one more score."""
    return reached**2 / total


def greedy(
    features: Array | Floats,
    noise: Array,
    k: int,
    closed: NDArray[np.bool_],
    gain: Callable[[Array, Array], Array] = of_mean,
    target: Array | None = None,
) -> Index:
    """Choose the prompt with the largest gain k times, each given the scores of those before.

    Parameters
    ----------
    features : float (n, f)
        `features @ features.T` is the covariance of the prompts' scores without noise.
    noise : f64 (n,)
    k : int
    closed : bool (n,)
        Prompts that are not chosen.
    gain : callable
        Function of `reached` f64 (n,), the covariance of each prompt's score with the mean score, and of `total` f64
        (n,), the variance of each prompt's score including noise.
    target : f64 (f,), optional
        `features @ target` is the covariance of the prompts' scores with the mean score. Default: mean of `features`.

    Returns
    -------
    int64 (k,)
    """
    reached = (features @ (features.mean(axis=0) if target is None else target)).astype(np.float64)
    total = np.einsum("nf,nf->n", features, features).astype(np.float64) + noise
    closed = closed.copy()
    told, chosen = np.empty((k, len(features))), np.empty(k, dtype=np.int64)
    for step in range(k):
        value = gain(reached, total)
        value[closed] = -np.inf
        i = int(value.argmax())
        chosen[step], closed[i] = i, True
        shared = features @ features[i] - told[:step, i] @ told[:step]  # covariance of every score with that of i
        told[step] = shared / np.sqrt(total[i])
        reached = reached - told[step] * reached[i] / np.sqrt(total[i])
        total = np.maximum(total - told[step] ** 2, MIN_NOISE)
    return chosen
