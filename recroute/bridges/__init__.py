"""Bridges: regressions from prompt vectors to instance factors, which place new prompts among the training prompts."""

from recroute.bridges.bridge import BRIDGES, Bridge, fit_bridge
from recroute.bridges.ridge import fit_ridge

__all__ = ["BRIDGES", "Bridge", "fit_bridge", "fit_ridge"]
