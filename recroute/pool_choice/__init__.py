"""Which few LLMs to deploy: pools chosen for a router or for the oracle, and the quality they reach."""

from recroute.pool_choice.choice import PoolChoice
from recroute.pool_choice.choose import choose_pool
from recroute.pool_choice.objectives import OBJECTIVES, completed_scores, oracle_value, routed_value

__all__ = ["OBJECTIVES", "PoolChoice", "choose_pool", "completed_scores", "oracle_value", "routed_value"]
