"""The LLMs that may be chosen, and the best pool of each size among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recroute.data import Dataset, llm_means
from recroute.errors import DataError
from recroute.pools import PoolValue, exchange, greedy
from recroute.retrieval import tie_order
from recroute.routers.costs import cost_unit, no_costs
from recroute.routers.trade_off import PROMPTS
from recroute.util.numeric import Index

ROUNDING = 1e-6  # relative; costs are stored as float32


def chosen_pools(value: PoolValue, train: Dataset, size: int, keep: Sequence[int]) -> dict[int, list[int]]:
    """Choose a pool of each size, from that of `keep` (at least 1) to `size`.

    Each is grown greedily, then improved by exchanges until none gains; so larger pools need not contain the smaller
    ones. Among LLMs with the same gain, the one with the higher mean score on train is chosen. LLMs are given by their
    position in `train`; those to keep come first.
    """
    order = tie_order(llm_means(train))
    grown = greedy(value, size, order, keep=keep)
    sizes = range(max(1, len(keep)), size + 1)
    return {k: exchange(value, grown[:k], order, n_kept=len(keep)) for k in sizes}


def candidates(train: Dataset, size: int, keep: Sequence[str], budget: float | None) -> tuple[Index, list[int]]:
    """The LLMs that may be chosen, int (c,), and where among them those to keep are.

    LLMs without a record on train may not be chosen.

    Parameters
    ----------
    train : Dataset
    size : int
    keep : sequence of str
        Ids.
    budget : float, optional
        USD per 1,000 prompts. LLMs whose mean cost on train is unknown or higher are left out.

    Raises
    ------
    DataError
        If the size is more than the number of candidates or less than the number to keep, an LLM to keep has no record
        on train or is above the budget, or costs are unknown.
    UnknownNameError
        If an LLM to keep is not in the data set.
    """
    if len(set(keep)) < len(keep):
        raise DataError(f"keep names an LLM twice: {', '.join(keep)}; name each once")
    if len(keep) > size:
        raise DataError(f"size {size} is less than the {len(keep)} LLMs to keep; raise the size, or keep fewer")
    kept = train.llm_ids.to_index(keep)
    allowed = np.unique(train.interactions.coordinates()[1]).astype(np.int64)
    if unknown := [name for name, k in zip(keep, kept, strict=True) if k not in allowed]:
        raise DataError(f"llm {unknown[0]!r} is to be kept and has no record on train; evaluate it, or do not keep it")
    if budget is not None:
        allowed = _affordable(train, allowed, dict(zip(keep, kept, strict=True)), budget)
    if size > len(allowed):
        where = " with a record on train" if budget is None else f" within the budget {budget:g}"
        raise DataError(f"size {size} is more than the {len(allowed)} LLMs of {train.name}{where}; ask for fewer")
    return allowed, [int(i) for i in np.searchsorted(allowed, kept)]


def _affordable(train: Dataset, allowed: Index, kept: dict[str, np.int64], budget: float) -> Index:
    """Those of `allowed` within the budget; DataError if there are none, or if one of `kept` is above it."""
    if (means := train.interactions.mean_costs()) is None:
        raise DataError(no_costs(train))
    cost, limit, unit = PROMPTS * means, budget * (1 + ROUNDING), f"{cost_unit(train)} per 1,000 prompts"
    for name, k in kept.items():
        if not cost[k] <= limit:
            raise DataError(
                f"llm {name!r} is to be kept and costs {cost[k]:.4g} {unit}, more than the budget "
                f"{budget:g}; raise the budget, or do not keep it"
            )
    affordable: Index = allowed[cost[allowed] <= limit]
    if len(affordable) == 0:
        raise DataError(f"no LLM costs at most {budget:g} {unit}; the cheapest costs {np.nanmin(cost):.4g}")
    return affordable
