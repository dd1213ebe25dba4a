"""Candidate pools of a given size: RouterEval's three groups, nested growth, and pools that came with the data."""

from recroute.pools.make import GROUPS, ROUTEREVAL_GROUPS, Pool, largest_pool, make_pools
from recroute.pools.own import OWN, own_pools

__all__ = ["GROUPS", "OWN", "ROUTEREVAL_GROUPS", "Pool", "largest_pool", "make_pools", "own_pools"]
