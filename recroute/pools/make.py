"""`make_pools`: pools by group and size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.data import Dataset, llm_means
from recroute.errors import DataError, UnknownNameError, argument
from recroute.pools.best_scores import BestScores
from recroute.util.arguments import as_texts, as_whole_numbers, checked
from recroute.util.numeric import Index

MEAN_LIMITS = (0.1, 0.9)
FIFTH = 0.2
N_DRAWS = 1000


def eligible_llms(means: NDArray[np.float64]) -> Index:
    """LLMs with a mean score in [0.1, 0.9], from weak to strong, ties by index; DataError if there are none."""
    low, high = MEAN_LIMITS
    kept = np.flatnonzero((means >= low) & (means <= high))
    if len(kept) == 0:
        raise DataError(
            f"no LLM has a mean score between {low} and {high}, so RouterEval's groups are empty; use "
            f"{argument('groups', 'nested')}"
        )
    return kept[np.argsort(means[kept], kind="stable")].astype(np.int64)


def window(best: BestScores, size: int, *, strong: bool) -> Index:
    """The `size` LLMs adjacent by mean score with the best oracle score, in the top or bottom fifth.

    Parameters
    ----------
    best : BestScores
        Oracle scores of e LLMs, sorted from weak to strong.
    size : int
        At most e.
    strong : bool
        Whether to search the top fifth instead of the bottom fifth; both hold at least `size` LLMs.

    Returns
    -------
    int (size,)
        Positions among the e LLMs; ties go to the weakest window.
    """
    fifth = max(size, int(FIFTH * best.n_llms))
    start = best.n_llms - fifth if strong else 0
    oracle = best.windows(start, start + fifth, size)
    return np.arange(size) + start + int(np.argmax(oracle))


def strong_to_weak(known: BestScores, size: int, rng: np.random.Generator) -> Index:
    """The best of 1,000 random draws by oracle score, where a draw takes one LLM from each of `size` groups by rank.

    Parameters and result are those of `window`, with a random generator; ties go to the first draw.
    """
    edges = np.linspace(0, known.n_llms, size + 1).astype(np.int64)  # groups differ by at most one LLM
    width = np.diff(edges)
    limit = known.of(slice(None))
    best, best_oracle = np.arange(0), -1.0
    for _ in range(N_DRAWS):
        draw = edges[:-1] + (rng.random(size) * width).astype(np.int64)
        oracle = known.of(draw)
        if oracle > best_oracle:
            best, best_oracle = draw, oracle
            if oracle >= limit:  # all LLMs together are not better
                break
    return best


ROUTEREVAL_GROUPS = ("all_strong", "all_weak", "strong_to_weak")
GROUPS = (*ROUTEREVAL_GROUPS, "nested")
WHOLE = "all"  # group of the pool of all LLMs


@dataclass(frozen=True, eq=False)
class Pool:
    """A pool of candidate LLMs.

    Parameters
    ----------
    group : str
    size : int
        Number of LLMs.
    llm_index : int (size,)
        Columns of the data set.
    """

    group: str
    size: int
    llm_index: NDArray[np.int64]


def whole_pool(dataset: Dataset) -> Pool:
    """Pool of all LLMs, whose group is "all"."""
    return Pool(WHOLE, dataset.n_llms, np.arange(dataset.n_llms))


def common_sizes(bases: Iterable[Dataset], groups: Sequence[str], sizes: Sequence[int]) -> tuple[list[int], list[str]]:
    """Pool sizes that all `groups` allow on all `bases`, ascending, and notes for the reader.

    Sizes beyond the largest common one are replaced by it, so that all curves have the same points.
    """
    limit = min(largest_pool(basis, groups) for basis in bases)
    notes = []
    if (largest := max(sizes)) > limit:
        notes.append(f"pool size {largest} exceeds the {limit} LLMs that every group allows; {limit} is used instead")
    return sorted({min(size, limit) for size in sizes}), notes


def largest_pool(basis: Dataset, groups: Sequence[str]) -> int:
    """Largest size that all of `groups` can reach on these instances."""
    if not set(groups) & set(ROUTEREVAL_GROUPS):
        return basis.n_llms
    return len(eligible_llms(llm_means(basis)))


@checked
def make_pools(basis: Dataset, groups: Sequence[str], sizes: Sequence[int], seed: int) -> list[Pool]:
    """Make pools of every group and size.

    Parameters
    ----------
    basis : Dataset
        Instances on which pools are chosen. Pass the training instances, so that test instances are not used;
        RouterEval chooses on all instances.
    groups : list of str
        Any of "all_strong", "all_weak", "strong_to_weak" (as selected by RouterEval) and "nested" (the first m LLMs of
        a random order).
    sizes : list of int
        Sizes larger than a group allows are replaced by the largest possible size.
    seed : int

    Returns
    -------
    list of Pool

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
            raise DataError(f"pool size {size} is below 1; give a positive number of LLMs")
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
