"""Where data sets come from: one importer per published layout, and the simulator behind `recroute demo`."""

from recroute.data.sources.simulated import simulate
from recroute.data.sources.source import Imported, Source, import_dataset, layout_names, make_source

__all__ = ["Imported", "Source", "import_dataset", "layout_names", "make_source", "simulate"]
