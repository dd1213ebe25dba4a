"""What pools of LLMs are worth when every instance goes to one LLM of the pool: many pools at a time, in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recroute.retrieval import tie_order
from recroute.util.numeric import Array, Index

BLOCK_CELLS = 1 << 18  # a block and what is made of it stay in the cache
NOBODY = -1.0  # below every value that a choice goes by


class _Held(NamedTuple):
    """For each instance the LLM of the pool that it goes to, and the one it goes to without that: arrays (n,)."""

    owner: Index  # position in the pool
    key: NDArray[np.float32]
    score: NDArray[np.float32]
    next_key: NDArray[np.float32]
    next_score: NDArray[np.float32]


class PoolValue:
    """Mean score of a pool in which each instance goes to the LLM of the highest key.

    Where the LLM of the highest key has the highest score too, this is a monotone submodular function of the pool: its
    oracle score, if the scores are observed ones. Keys made of predictions (`ranks`) with observed scores give what a
    router reaches. Either way one pass over the cells tells the value of adding
    each LLM, and two passes that of every exchange (as in Schubert and Rousseeuw, Fast and eager k-medoids
    clustering, Information Systems 2021). Instances that no LLM can win from the pool are left out of the pass.

    Parameters
    ----------
    key : uint8, uint16 or f32 (n, m), at least 0
    score : uint8 or f32 (n, m), at least 0
        Without unobserved cells.

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
        """Mean score of the pool; 0 without any LLM."""
        return float(self._held(pool).score.mean(dtype=np.float64))

    def with_each(self, pool: list[int]) -> Array:
        """Mean score of the pool with one more LLM, f64 (m,)."""
        held = self._held(pool)
        gain = self._gains(np.arange(self.n_instances), held.key, held.score)
        return np.asarray(held.score.mean(dtype=np.float64) + gain / self.n_instances)

    def exchanged(self, pool: list[int]) -> Array:
        """Mean score of the pool with its i-th LLM exchanged for l, f64 (k, m)."""
        held = self._held(pool)
        found = np.empty((len(pool), self.n_llms))
        for i in range(len(pool)):
            rows = np.flatnonzero(held.owner == i)  # without the i-th LLM only these go elsewhere
            found[i] = -self._gains(rows, held.key, held.score) + self._gains(rows, held.next_key, held.next_score)
            found[i] += (held.next_score[rows] - held.score[rows]).sum(dtype=np.float64)
        everywhere = self._gains(np.arange(self.n_instances), held.key, held.score)
        return np.asarray(held.score.mean(dtype=np.float64) + (found + everywhere) / self.n_instances)

    def choices(self, pool: list[int]) -> Index:
        """The LLM of the pool that each instance goes to, int (n,)."""
        return np.asarray(pool)[self._held(pool).owner]

    def _held(self, pool: list[int]) -> _Held:
        n = self.n_instances
        nobody = np.full(n, NOBODY, dtype=np.float32), np.zeros(n, dtype=np.float32)
        if not pool:
            return _Held(np.full(n, -1), *nobody, *nobody)
        keys, scores = (block[:, pool].astype(np.float32) for block in (self._key, self._score))
        rows, owner = np.arange(n), keys.argmax(axis=1)
        first = keys[rows, owner], scores[rows, owner]
        if len(pool) == 1:
            return _Held(owner, *first, *nobody)
        keys[rows, owner] = NOBODY
        second = keys.argmax(axis=1)
        return _Held(owner, *first, keys[rows, second], scores[rows, second])

    def _gains(self, rows: Index, key: NDArray[np.float32], score: NDArray[np.float32]) -> Array:
        """What each LLM adds to the summed score of these rows if it gets those where its key is higher, f64 (m,)."""
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
    """Position of each LLM in each instance's ranking, the best highest: keys without ties.

    Equal predictions go by `tie_order`, as routers choose.

    Parameters
    ----------
    predicted : f32 (n, m)
    llm_mean : f64 (m,)

    Returns
    -------
    uint16 (n, m), or f32 beyond 65,536 LLMs.

    Examples
    --------
    >>> ranks(np.array([[0.5, 0.5, 0.1]], dtype=np.float32), np.array([0.2, 0.7, 0.1]))
    array([[1, 2, 0]], dtype=uint16)
    """
    n, m = predicted.shape
    last_first = tie_order(llm_mean)[::-1]
    found = np.empty((n, m), dtype=np.uint16 if m <= 1 << 16 else np.float32)
    step = max(1, BLOCK_CELLS // m)
    for start in range(0, n, step):
        block = predicted[start : start + step]
        order = last_first[np.argsort(block[:, last_first], axis=1, kind="stable")]
        np.put_along_axis(found[start : start + step], order, np.arange(m, dtype=found.dtype)[None], axis=1)
    return found


MIN_GAIN = 1e-6  # of the value; an exchange has to gain more, so exchanges end


def greedy(value: PoolValue, size: int, order: Index, *, keep: Sequence[int] = ()) -> list[int]:
    """Add the LLM that gains most until there are `size`, beginning with those to keep.

    Where the value is submodular, without LLMs to keep, the pool has at least 1 - 1/e of the best pool's value. Source:
    Nemhauser, Wolsey and Fisher, An analysis of approximations for maximizing submodular set functions, Mathematical
    Programming 1978.

    Parameters
    ----------
    value : PoolValue
        Of m LLMs.
    size : int
        At most m.
    order : int (m,)
        All LLMs; of those that gain the same the first in this order is taken.
    keep : sequence of int

    Returns
    -------
    list of int (size,): those to keep, then the others in the order they were taken.
    """
    pool = list(keep)
    while len(pool) < size:
        found = value.with_each(pool)
        found[pool] = -np.inf
        pool.append(_first_best(found, order))
    return pool


def exchange(value: PoolValue, pool: Sequence[int], order: Index, *, n_kept: int = 0) -> list[int]:
    """Exchange the LLM for the one outside that gains most, until none gains more than `MIN_GAIN`.

    The first `n_kept` stay. Every exchange raises the value by so much, and it has an upper bound, so this ends.
    """
    found = list(pool)
    worth = value.of(found)
    while n_kept < len(found) < value.n_llms:
        exchanged = replacements(value, found)[n_kept:]
        best = int(exchanged.max(axis=1).argmax())
        if exchanged[best].max() <= worth + MIN_GAIN:
            break
        found[n_kept + best] = _first_best(exchanged[best], order)
        worth = value.of(found)
    return found


def replacements(value: PoolValue, pool: Sequence[int]) -> Array:
    """Value of the pool with its i-th LLM exchanged for l, f64 (k, m); -inf for those that are in the pool."""
    exchanged = value.exchanged(list(pool))
    exchanged[:, list(pool)] = -np.inf
    return exchanged


def _first_best(found: Array, order: Index) -> int:
    """The highest value; of equal ones (up to rounding) the first in the order."""
    return int(order[np.argmax(found[order] >= found.max() - 1e-12)])
