"""For tests of routers, ours and yours: the contract that every router keeps, and planted data."""

from recroute.testing.contract import RouterContract
from recroute.testing.planted import planted_dataset

__all__ = ["RouterContract", "planted_dataset"]
