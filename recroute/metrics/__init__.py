"""Routing quality: each metric a function of an Outcome, with or without bootstrap weights."""

from recroute.metrics.bounds import (
    best_single_ratio,
    effective_p,
    lift,
    oracle,
    random,
    reference_ratio,
    regret,
)
from recroute.metrics.entropy import choice_entropy, selection_entropy
from recroute.metrics.outcome import Metric, Outcome, weighted_mean
from recroute.metrics.quality import any_best, mean_score, unobserved_choice

METRICS: dict[str, Metric] = {
    metric.__name__: metric
    for metric in (
        mean_score,
        best_single_ratio,
        reference_ratio,
        lift,
        effective_p,
        regret,
        any_best,
        oracle,
        random,
        selection_entropy,
        choice_entropy,
        unobserved_choice,
    )
}

__all__ = ["METRICS", "Metric", "Outcome", "weighted_mean", *METRICS]
