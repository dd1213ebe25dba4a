"""Where data sets come from: one importer per published layout, and the simulator behind `recroute demo`."""

from recroute.data.sources.simulated import simulate

__all__ = ["simulate"]
