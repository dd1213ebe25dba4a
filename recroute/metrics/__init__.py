"""Metrics of routing quality: functions of an `Outcome`, optionally with bootstrap weights."""

from recroute.metrics.outcome import Agreement, Outcome, Spending
from recroute.metrics.table import METRICS, Metric

__all__ = ["METRICS", "Agreement", "Metric", "Outcome", "Spending"]
