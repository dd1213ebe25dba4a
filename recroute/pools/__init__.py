"""Pools of candidate LLMs: RouterEval's groups, nested pools, pools from the data, and optimised pools."""

from recroute.pools.make import GROUPS, ROUTEREVAL_GROUPS, Pool, largest_pool, make_pools
from recroute.pools.own import OWN, own_pools
from recroute.pools.pool_value import PoolValue, exchange, greedy, ranks, replacements

__all__ = [
    "GROUPS",
    "OWN",
    "ROUTEREVAL_GROUPS",
    "Pool",
    "PoolValue",
    "exchange",
    "greedy",
    "largest_pool",
    "make_pools",
    "own_pools",
    "ranks",
    "replacements",
]
