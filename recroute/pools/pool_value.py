"""Mean scores of pools in which every instance goes to one LLM, and greedy optimisation of pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recroute.retrieval import tie_order
from recroute.util.numeric import Array, Index

BLOCK_CELLS = 1 << 18  # cells of a block, which fits in the CPU cache
NO_KEY = -1.0  # below every key


class _Held(NamedTuple):
    """For each instance the LLM of the pool that it goes to, and the one it would go to without it; arrays (n,)."""

    owner: Index  # position in the pool
    key: NDArray[np.float32]
    score: NDArray[np.float32]
    next_key: NDArray[np.float32]
    next_score: NDArray[np.float32]


class PoolValue:
    """Mean score of a pool in which each instance goes to the LLM with the highest key.

    With observed scores as keys this is the pool's oracle score, a monotone submodular function of the pool. With keys
    made of predictions (`ranks`) it is the score that a router reaches. One pass over the cells gives the value of
    adding each LLM, and two passes that of every exchange (as in Schubert and Rousseeuw, Fast and eager k-medoids
    clustering, Information Systems 2021). Instances on which the pool has the highest key are skipped.

    Parameters
    ----------
    key : uint8, uint16 or f32 (n, m)
        Non-negative.
    score : uint8 or f32 (n, m)
        Non-negative, without unobserved cells.

    Examples
    --------
    >>> scores = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 1]], dtype=np.uint8)
    >>> oracle = PoolValue(scores, scores)
    >>> round(oracle.of([1]), 3), oracle.with_each([1]).round(3)
    (0.667, array([1.   , 0.667, 0.667]))
    """

    def __init__(self, key: NDArray[Any], score: NDArray[Any]) -> None:
        self.n_instances, self.n_llms = key.shape
        self._key, self._score = key, score
        self._highest = key.max(axis=1)

    def of(self, pool: list[int]) -> float:
        """Mean score of the pool; 0 if it is empty."""
        return float(self._held(pool).score.mean(dtype=np.float64))

    def with_each(self, pool: list[int]) -> Array:
        """Mean score f64 (m,) of the pool with each LLM added."""
        held = self._held(pool)
        gain = self._gains(np.arange(self.n_instances), held.key, held.score)
        return np.asarray(held.score.mean(dtype=np.float64) + gain / self.n_instances)

    def exchanged(self, pool: list[int]) -> Array:
        """Mean score f64 (k, m) of the pool with its i-th LLM exchanged for l."""
        held = self._held(pool)
        change = np.empty((len(pool), self.n_llms))
        for i in range(len(pool)):
            rows = np.flatnonzero(held.owner == i)  # only these are affected if the i-th LLM leaves
            change[i] = -self._gains(rows, held.key, held.score) + self._gains(rows, held.next_key, held.next_score)
            change[i] += (held.next_score[rows] - held.score[rows]).sum(dtype=np.float64)
        added = self._gains(np.arange(self.n_instances), held.key, held.score)
        return np.asarray(held.score.mean(dtype=np.float64) + (change + added) / self.n_instances)

    def choices(self, pool: list[int]) -> Index:
        """LLM of the pool that each instance goes to, int (n,)."""
        return np.asarray(pool)[self._held(pool).owner]

    def _held(self, pool: list[int]) -> _Held:
        n = self.n_instances
        empty = np.full(n, NO_KEY, dtype=np.float32), np.zeros(n, dtype=np.float32)
        if not pool:
            return _Held(np.full(n, -1), *empty, *empty)
        keys, scores = (block[:, pool].astype(np.float32) for block in (self._key, self._score))
        rows, owner = np.arange(n), keys.argmax(axis=1)
        first = keys[rows, owner], scores[rows, owner]
        if len(pool) == 1:
            return _Held(owner, *first, *empty)
        keys[rows, owner] = NO_KEY
        second = keys.argmax(axis=1)
        return _Held(owner, *first, keys[rows, second], scores[rows, second])

    def _gains(self, rows: Index, key: NDArray[np.float32], score: NDArray[np.float32]) -> Array:
        """Change f64 (m,) of the summed score of these rows if each LLM gets the rows where its key is higher."""
        rows = rows[key[rows] < self._highest[rows]]
        total = np.zeros(self.n_llms)
        step = max(1, BLOCK_CELLS // self.n_llms)
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            gain = self._score[part].astype(np.float32) - score[part, None]  # (b, m)
            gain *= self._key[part] > key[part, None]
            total += gain.sum(axis=0)
        return total


def ranks(predicted: NDArray[np.float32], llm_mean: Array) -> NDArray[Any]:
    """Reversed rank of each LLM on each instance (the best has the highest), used as keys without ties.

    Ties of predictions are broken by `tie_order`, as in routers.

    Parameters
    ----------
    predicted : f32 (n, m)
    llm_mean : f64 (m,)

    Returns
    -------
    uint16 (n, m), or f32 (n, m) for more than 65,536 LLMs

    Examples
    --------
    >>> ranks(np.array([[0.5, 0.5, 0.1]], dtype=np.float32), np.array([0.2, 0.7, 0.1]))
    array([[1, 2, 0]], dtype=uint16)
    """
    n, m = predicted.shape
    last_first = tie_order(llm_mean)[::-1]
    keys = np.empty((n, m), dtype=np.uint16 if m <= 1 << 16 else np.float32)
    step = max(1, BLOCK_CELLS // m)
    for start in range(0, n, step):
        block = predicted[start : start + step]
        order = last_first[np.argsort(block[:, last_first], axis=1, kind="stable")]
        np.put_along_axis(keys[start : start + step], order, np.arange(m, dtype=keys.dtype)[None], axis=1)
    return keys


MIN_GAIN = 1e-6  # smallest gain of an exchange, which ensures that exchanges end


def greedy(value: PoolValue, size: int, order: Index, *, keep: Sequence[int] = ()) -> list[int]:
    """Build a pool greedily: add the LLM with the largest gain until there are `size`.

    If the value is submodular and there are no LLMs to keep, the pool has at least 1 - 1/e of the best pool's value.
    Source:
    Nemhauser, Wolsey and Fisher, An analysis of approximations for maximizing submodular set functions, Mathematical
    Programming 1978.

    Parameters
    ----------
    value : PoolValue
        Values of pools of m LLMs.
    size : int
        At most m.
    order : int (m,)
        All LLMs, in the order that breaks ties.
    keep : sequence of int
        LLMs that the pool starts with.

    Returns
    -------
    list of int (size,)
        The LLMs to keep, then the others in the order in which they were added.
    """
    pool = list(keep)
    while len(pool) < size:
        values = value.with_each(pool)
        values[pool] = -np.inf
        pool.append(_first_best(values, order))
    return pool


def exchange(value: PoolValue, pool: Sequence[int], order: Index, *, n_kept: int = 0) -> list[int]:
    """Improve a pool by the exchange with the largest gain, until none gains more than `MIN_GAIN`.

    The first `n_kept` LLMs stay in the pool.
    """
    improved = list(pool)
    worth = value.of(improved)
    while n_kept < len(improved) < value.n_llms:
        exchanged = replacements(value, improved)[n_kept:]
        best = int(exchanged.max(axis=1).argmax())
        if exchanged[best].max() <= worth + MIN_GAIN:
            break
        improved[n_kept + best] = _first_best(exchanged[best], order)
        worth = value.of(improved)
    return improved


def replacements(value: PoolValue, pool: Sequence[int]) -> Array:
    """Value f64 (k, m) of the pool with its i-th LLM exchanged for l; -inf if l is in the pool."""
    exchanged = value.exchanged(list(pool))
    exchanged[:, list(pool)] = -np.inf
    return exchanged


def _first_best(values: Array, order: Index) -> int:
    """Position of the highest value; ties (up to rounding) go to the first in the order."""
    return int(order[np.argmax(values[order] >= values.max() - 1e-12)])
