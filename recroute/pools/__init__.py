"""Pools of candidate LLMs: RouterEval's groups, nested pools, pools from the data, and optimised pools."""

from recroute.pools.make import (
    GROUPS,
    ROUTEREVAL_GROUPS,
    WHOLE,
    Pool,
    common_sizes,
    largest_pool,
    make_pools,
    whole_pool,
)
from recroute.pools.own import OWN, own_pools
from recroute.pools.pool_value import PoolValue, exchange, greedy, ranks, replacements

__all__ = [
    "GROUPS",
    "OWN",
    "ROUTEREVAL_GROUPS",
    "WHOLE",
    "Pool",
    "PoolValue",
    "common_sizes",
    "exchange",
    "greedy",
    "largest_pool",
    "make_pools",
    "own_pools",
    "ranks",
    "replacements",
    "whole_pool",
]
