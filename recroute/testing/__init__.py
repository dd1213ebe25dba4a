"""Tools for testing routers, including your own: the tests that every router must pass, and planted data."""

from recroute.testing.contract import RouterContract
from recroute.testing.planted import drawn_preferences, planted_dataset, twins_dataset

__all__ = ["RouterContract", "drawn_preferences", "planted_dataset", "twins_dataset"]
