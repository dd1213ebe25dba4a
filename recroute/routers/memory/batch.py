"""Fixed order in which to run prompts on an unseen LLM, and the greedy choice that it begins with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from recroute.routers.memory.posterior import MIN_NOISE
from recroute.util.numeric import Array, Floats, Index

MAX_LLMS = 2000  # known LLMs that the order is chosen from
MAX_CHOSEN = 128  # prompts chosen jointly
LLMS_EACH = 4  # known LLMs for each chosen prompt; more prompts would fit the noise of a few LLMs


def batch_order(block: Floats, loadings: Array, vectors: Array, task: NDArray[np.int64], seed: int) -> Index:
    """Order int64 (n,) in which to run all training prompts on an unseen LLM if they are run in one batch.

    The first prompts together tell most about the mean score, by the covariance of prompts over the known LLMs: greedy
    choice, which is orthogonal matching pursuit with a ridge. There is one for every four known LLMs, at most 128. The
    others follow at random, with tasks in proportion to their size, because few LLMs do not tell which are better.

    Parameters
    ----------
    block : f32 (n, m)
        Scores of the known LLMs, NaN where unobserved.
    loadings : f64 (n, 1 + k), vectors : f64 (m, 1 + k)
        Their model, which fills the gaps.
    task : int64 (n,)
    seed : int
    """
    rng = np.random.default_rng([seed, 9])
    (n, m), llms = block.shape, np.arange(block.shape[1])
    n_chosen = min(m // LLMS_EACH, MAX_CHOSEN, n)
    if m > MAX_LLMS:
        llms = np.sort(rng.choice(m, MAX_LLMS, replace=False))
    away = block[:, llms]
    away = np.where(np.isnan(away), np.clip(loadings @ vectors[llms].T, 0, 1), away).astype(np.float32)
    away = (away - away.mean(axis=1, keepdims=True)) / np.float32(np.sqrt(away.shape[1]))
    first = greedy(away, np.full(n, MIN_NOISE), n_chosen, np.zeros(n, dtype=bool))
    rest = stratified_order(task, rng)
    return np.concatenate([first, rest[~np.isin(rest, first)]])


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

    Returns
    -------
    int64 (k,)
    """
    reached = (features @ features.mean(axis=0)).astype(np.float64)
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
