"""Colours and marks by their old name."""

from recroute.report.figure import COLOURS, MARKERS

__all__ = ["COLOURS", "MARKERS"]
