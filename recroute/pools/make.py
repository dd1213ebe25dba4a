"""Pools by group and size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, llm_means
from recroute.errors import DataError, UnknownNameError
from recroute.pools.best_scores import BestScores
from recroute.pools.routereval import eligible_llms, strong_to_weak, window
from recroute.util.arguments import as_texts, as_whole_numbers, checked

ROUTEREVAL_GROUPS = ("all_strong", "all_weak", "strong_to_weak")
GROUPS = (*ROUTEREVAL_GROUPS, "nested")


@dataclass(frozen=True, eq=False)
class Pool:
    """A pool of candidate LLMs.

    Parameters
    ----------
    group : str
    size : int
        What was asked for, or all LLMs that the group can take if they are fewer.
    llm_index : int (size,)
        Columns of the data set.
    """

    group: str
    size: int
    llm_index: NDArray[np.int64]


def largest_pool(basis: Dataset, groups: Sequence[str]) -> int:
    """The size that all of `groups` can reach on these instances."""
    if not set(groups) & set(ROUTEREVAL_GROUPS):
        return basis.n_llms
    return len(eligible_llms(llm_means(basis)))


@checked
def make_pools(basis: Dataset, groups: Sequence[str], sizes: Sequence[int], seed: int) -> list[Pool]:
    """Every group at every size.

    Parameters
    ----------
    basis : Dataset
        The instances to choose on: train, so that nothing is learned from test. RouterEval chooses on all.
    groups : list of str
        Of "all_strong", "all_weak", "strong_to_weak" (as RouterEval selects them) and "nested" (one random
        order of all LLMs, each pool its first m).
    sizes : list of int
        A size beyond the LLMs that a group can take gives the pool of all of them, once.
    seed : int

    Raises
    ------
    UnknownNameError
        For an unknown group.
    DataError
        For a size below 1, or if no LLM's mean lies within RouterEval's limits.
    """
    groups, sizes = as_texts(groups, "groups"), as_whole_numbers(sizes, "sizes")
    for group in groups:
        if group not in GROUPS:
            raise UnknownNameError("group", group, GROUPS)
    for size in sizes:
        if size < 1:
            raise DataError(f"pool size {size} is not at least 1")
    means = llm_means(basis)
    order = eligible_llms(means) if set(groups) & set(ROUTEREVAL_GROUPS) else np.arange(0)
    best = BestScores(basis.interactions.take_llms(order))
    nested = np.random.default_rng([seed, 1]).permutation(basis.n_llms)
    pools = []
    for group in groups:
        limit = basis.n_llms if group == "nested" else len(order)
        for size in sorted({min(size, limit) for size in sizes}):
            if group == "nested":
                index = nested[:size]
            elif group == "strong_to_weak":
                index = order[strong_to_weak(best, size, np.random.default_rng([seed, 2, size]))]
            else:
                index = order[window(best, size, strong=group == "all_strong")]
            pools.append(Pool(group, size, index))
    return pools
