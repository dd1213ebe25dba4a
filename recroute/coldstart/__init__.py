"""LLMs that nobody has evaluated yet: what is expected of them, and which prompts tell most about them."""

from recroute.coldstart.anchors import STRATEGIES, select_anchors
from recroute.routers.unseen.posterior import Posterior
from recroute.routers.unseen.prior import LLMPrior

__all__ = ["STRATEGIES", "LLMPrior", "Posterior", "select_anchors"]
