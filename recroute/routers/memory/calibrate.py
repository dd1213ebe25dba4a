"""Calibration of the means and intervals of unseen LLMs, by cross-validation over the known LLMs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data import Dataset
from recroute.data.llm_table import family_groups
from recroute.routers.memory.batch import LLMS_EACH, gains, log_likelihood
from recroute.routers.memory.mixture import NORMAL, Mixture
from recroute.util.numeric import Array, Floats

Errors = dict[tuple[str, int, str], list[Array]]  # f64 (3, j) by strategy, number of answers, "all" or "task"

N_FOLDS = 4
MAX_UNSEEN = 40  # held-out LLMs per fold
MAX_INSTANCES = 3000
MIN_LLMS, MAX_LLMS = 4, 1000
POOLED = {0: (0,), 4: (2, 4, 8), 16: (8, 16, 32), 64: (32, 64, 128)}  # numbers of answers pooled for each scale
COVERAGE = 0.9
STRATEGIES = ("active", "batch", "random")
MAX_ADAPTIVE = 32  # prompts chosen by the scores so far


def calibration(train: Dataset, learn: Callable[[Dataset], Mixture], seed: int) -> tuple[Array, Array, Array]:
    """How much of the answers' surprise to add to an expected mean score, and how wide its interval must be.

    The known LLMs are split into folds, by family if families are known. Those of a fold are treated as unseen under a
    prior learned from the others, with prompts chosen by each of `STRATEGIES`. The share of the surprise for a number
    of answers is that with the least squared error. The factor of the interval is the conformal quantile (slightly
    larger with few LLMs) of the strategy that needs the widest interval.

    Parameters
    ----------
    train : Dataset
    learn : callable
        Learns an uncalibrated prior from a data set.
    seed : int

    Returns
    -------
    answers : f64 (c,)
        Numbers of answers.
    scale : f64 (c, 2)
        Factors for the overall mean score and for the mean score on a task.
    trust : f64 (c,)
        Shares of the surprise, from 0 to 1.
    """
    rng = np.random.default_rng([seed, 7])
    if train.n_instances > MAX_INSTANCES:
        train = train.take_instances(np.sort(rng.choice(train.n_instances, MAX_INSTANCES, replace=False)))
    if train.n_llms > MAX_LLMS:
        train = train.take_llms(np.sort(rng.choice(train.n_llms, MAX_LLMS, replace=False)))
    errors: Errors = {}
    for unseen in _folds(train, rng):
        known = np.setdiff1d(np.arange(train.n_llms), unseen)
        if len(unseen) == 0 or np.count_nonzero(train.interactions.llm_counts[known]) < MIN_LLMS:
            continue
        prior = learn(train.take_llms(known))
        unseen = np.sort(rng.permutation(unseen)[:MAX_UNSEEN])
        _measure(prior, train.take_llms(unseen), rng, errors)
    return _learned(errors)


def _learned(errors: Errors) -> tuple[Array, Array, Array]:
    """What `calibration` returns, from the errors of all folds."""
    measured = {k: near for k, near in POOLED.items() if any((STRATEGIES[0], n, "all") in errors for n in near)}
    if not measured:
        return np.zeros(1), np.ones((1, 2)), np.zeros(1)

    def of(near: tuple[int, ...], kind: str, strategies: tuple[str, ...] = STRATEGIES) -> Array:
        return np.concatenate([e for s in strategies for k in near for e in errors.get((s, k, kind), [])], axis=1)

    trust = [learned_trust(of(near, "all")) for near in measured.values()]
    scales = [
        [max(_conformal(of(near, kind, (s,)), share) for s in STRATEGIES) for kind in ("all", "task")]
        for near, share in zip(measured.values(), trust, strict=True)
    ]
    return np.array(list(measured), dtype=np.float64), np.array(scales), np.array(trust)


def n_adaptive(prior: Mixture) -> int:
    """Number of prompts that strategy "active" chooses by the scores so far; the next ones are in a fixed order.

    A few known LLMs soon mislead, and after many answers the model's own errors are larger than what is left to learn.
    """
    return prior.n_instances if prior.order is None else min(MAX_ADAPTIVE, len(prior.vectors) // LLMS_EACH)


def ask(prior: Mixture, answers: Floats, k: int, llms: pl.DataFrame | None = None) -> NDArray[np.int64]:
    """Prompts that strategy "active" chooses for many LLMs, one at a time, after each answer is known.

    Gives the same choices as k calls of `select_anchors(prior, 1, scores=...)` for each LLM, by matrix products.

    Parameters
    ----------
    prior : Mixture
    answers : f32 (n, j)
        Scores of j LLMs, NaN where there is no answer.
    k : int
        Number of prompts; at most the number of answers of every LLM.
    llms : polars.DataFrame, optional
        j rows of LLM metadata.

    Returns
    -------
    int64 (k, j)
        Positions of the prompts, in the order in which they are chosen.
    """
    n_unseen = answers.shape[1]
    log_posterior = prior.log_weights(llms, n_unseen)
    excluded = np.isnan(answers)
    n_first = min(k, n_adaptive(prior))
    asked = np.empty((n_first, n_unseen), dtype=np.int64)
    every_llm = np.arange(n_unseen)
    for step in range(n_first):
        gain, _ = gains(log_posterior, prior.expected, prior.mean_score)
        gain[excluded] = -np.inf
        asked[step] = chosen = gain.argmax(axis=0)
        excluded[chosen, every_llm] = True
        log_posterior += log_likelihood(answers[chosen, every_llm], prior.expected[chosen])
    return np.concatenate([asked, first_left(prior, excluded, k - n_first)])


def first_left(prior: Mixture, excluded: NDArray[np.bool_], k: int) -> NDArray[np.int64]:
    """The first k prompts in the order of a batch that are not excluded, bool (n, j), int64 (k, j) for each LLM."""
    order = np.arange(len(excluded)) if prior.order is None else prior.order
    return order[np.argsort(excluded[order], axis=0, kind="stable")[:k]]


def _folds(train: Dataset, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """LLMs of each fold: whole families, or single LLMs if there are fewer families than folds."""
    group, named = family_groups(train.llms)
    if len(np.unique(group[named])) < N_FOLDS:
        group, named = np.arange(train.n_llms), np.ones(train.n_llms, dtype=bool)
    llms = np.flatnonzero(named)
    fold_of = np.full(train.n_llms, -1)
    sizes = np.zeros(N_FOLDS)
    groups = rng.permutation(np.unique(group[llms]))
    count = np.bincount(group, minlength=group.max() + 1)
    for g in groups[np.argsort(-count[groups], kind="stable")]:  # large families first, into the smallest fold
        members = llms[group[llms] == g]
        fold_of[members] = sizes.argmin()
        sizes[sizes.argmin()] += len(members)
    return [np.flatnonzero(fold_of == f) for f in range(N_FOLDS)]


def _measure(prior: Mixture, unseen: Dataset, rng: np.random.Generator, errors: Errors) -> None:
    """Append to `errors`, for each number of answers, the held-out LLMs' errors of the mean over unanswered prompts.

    Below each error are what all of the surprise would add to it, and the model's standard deviation.
    """
    answers = unseen.interactions.dense()
    there = ~np.isnan(answers)
    numbers = sorted({k for near in POOLED.values() for k in near})
    most = int(min(there.sum(axis=0).min() // 2, max(numbers)))
    at_random = np.argsort(np.where(there, rng.random(there.shape), 2), axis=0)[:most]
    in_order = (ask(prior, answers, most, unseen.llms), first_left(prior, ~there, most), at_random)
    for (strategy, asked), k in product(zip(STRATEGIES, in_order, strict=True), numbers):
        if k > most:
            continue
        scores = np.full_like(answers, np.nan)
        np.put_along_axis(scores, asked[:k], np.take_along_axis(answers, asked[:k], 0), 0)
        posterior = prior.posterior(scores, unseen.llms)
        surprise = prior.surprise(scores, posterior.vectors)
        rest = there & np.isnan(scores)
        error = np.where(rest, posterior.columns - np.nan_to_num(answers), 0)
        for t in range(-1, len(prior.task_names)):
            rows = np.flatnonzero((prior.task == t) | (t == -1))
            count = rest[rows].sum(axis=0)
            seen = count > 0
            deviation = prior.deviation(rest[rows], posterior.covariance, rows)[seen] * len(rows) / count[seen]
            added = surprise[seen] * (prior.loadings[rows, 0] @ rest[rows])[seen] / count[seen]
            found = np.stack([error[rows].sum(axis=0)[seen] / count[seen], added, deviation])
            errors.setdefault((strategy, k, "all" if t == -1 else "task"), []).append(found)


def learned_trust(errors: Array) -> float:
    """Share of the surprise, from 0 to 1, with the least squared error in standard deviations; `errors` f64 (3, j)."""
    error, added = errors[:2] / errors[2]
    return float(np.clip(-(error @ added) / max(added @ added, 1e-12), 0, 1))


def _conformal(errors: Array, trust: float) -> float:
    """90% conformal quantile of |error| / standard deviation, relative to the 90% quantile of a normal variable."""
    values = np.sort(np.abs(errors[0] + trust * errors[1]) / errors[2])
    rank = min(int(np.ceil(COVERAGE * (len(values) + 1))), len(values))
    return float(values[rank - 1] / NORMAL)
