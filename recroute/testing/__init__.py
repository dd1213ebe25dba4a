"""For tests of routers, ours and yours: the contract that every router keeps, and planted data."""

from recroute.testing.contract import RouterContract
from recroute.testing.planted import drawn_preferences, planted_dataset

__all__ = ["RouterContract", "drawn_preferences", "planted_dataset"]
