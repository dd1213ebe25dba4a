"""Pools chosen one LLM at a time, and by exchange."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recroute.pools.pool_value import PoolValue
from recroute.util.numeric import Array, Index

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
