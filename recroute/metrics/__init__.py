"""Routing quality: a table of metrics, each a function of an outcome with or without bootstrap weights."""

from recroute.metrics.outcome import Agreement, Outcome, Spending
from recroute.metrics.table import METRICS, Metric

__all__ = ["METRICS", "Agreement", "Metric", "Outcome", "Spending"]
