"""Candidate pools of a given size: RouterEval's three groups and nested growth."""

from recroute.pools.make import GROUPS, ROUTEREVAL_GROUPS, Pool, largest_pool, make_pools

__all__ = ["GROUPS", "ROUTEREVAL_GROUPS", "Pool", "largest_pool", "make_pools"]
