"""The few LLMs worth deploying: pools chosen for a router or for the oracle, and what they reach."""

from recroute.pool_choice.objectives import OBJECTIVES, completed_scores, oracle_value, routed_value
from recroute.pool_choice.result import PoolChoice
from recroute.pool_choice.run import choose_pool

__all__ = ["OBJECTIVES", "PoolChoice", "choose_pool", "completed_scores", "oracle_value", "routed_value"]
