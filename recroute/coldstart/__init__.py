"""LLMs that nobody has evaluated yet: what is expected of them, and which prompts tell most about them."""

from recroute.coldstart.anchors import STRATEGIES, select_anchors
from recroute.coldstart.holdout import HOLDOUTS, unseen_llms
from recroute.coldstart.posterior import Posterior
from recroute.coldstart.prior import LLMPrior
from recroute.coldstart.run import coldstart

__all__ = ["HOLDOUTS", "STRATEGIES", "LLMPrior", "Posterior", "coldstart", "select_anchors", "unseen_llms"]
