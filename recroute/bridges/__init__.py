"""From prompt vectors to instance factors: how a prompt that nobody answered is placed among those that were."""

from recroute.bridges.bridge import BRIDGES, Bridge, fit_bridge
from recroute.bridges.ridge import fit_ridge

__all__ = ["BRIDGES", "Bridge", "fit_bridge", "fit_ridge"]
