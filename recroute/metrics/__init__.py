"""Routing quality: each metric a function of an Outcome, with or without bootstrap weights."""

from functools import wraps
from typing import Any

from recroute.metrics.battles import Agreement
from recroute.metrics.bounds import (
    best_single_ratio,
    effective_p,
    lift,
    oracle,
    random,
    reference_ratio,
    regret,
)
from recroute.metrics.calibration import auc, brier, ece
from recroute.metrics.cost import aiq, cost_at_quality, mean_cost
from recroute.metrics.outcome import Metric, Outcome, weighted_mean
from recroute.metrics.predictions import RANKS
from recroute.metrics.preferences import agreement
from recroute.metrics.quality import any_best, mean_score, unobserved_choice
from recroute.metrics.ranking import hit, mrr, ndcg
from recroute.metrics.spending import Spending
from recroute.metrics.spread import choice_entropy, coverage, gini, selection_entropy


def _at(metric: Any, **setting: int) -> Metric:
    """The metric at one k or percentage, called such as ndcg@10."""

    @wraps(metric)
    def fixed(outcome: Outcome, weights: Any = None) -> Any:
        return metric(outcome, weights, **setting)

    (value,) = setting.values()
    fixed.__name__ = f"{metric.__name__}@{value}"
    return fixed


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
        *(_at(ndcg, k=k) for k in RANKS),
        *(_at(hit, k=k) for k in RANKS),
        mrr,
        brier,
        ece,
        auc,
        selection_entropy,
        choice_entropy,
        coverage,
        gini,
        mean_cost,
        *(_at(cost_at_quality, percent=percent) for percent in (95, 100)),
        aiq,
        unobserved_choice,
        agreement,
    )
}
NO_INTERVAL = frozenset({"coverage"})  # a resample of instances says nothing of what others would have
OF_PREFERENCES = frozenset({"agreement"})  # over battles; all others are over scores

# Of all others more is better; what says neither (selection_entropy, oracle, ...) is nothing to search for.
LOWER_IS_BETTER = frozenset(
    {"regret", "brier", "ece", "mean_cost", "cost_at_quality@95", "cost_at_quality@100", "unobserved_choice", "gini"}
)
NO_OBJECTIVE = frozenset({"oracle", "random", "selection_entropy"})

__all__ = [
    "LOWER_IS_BETTER",
    "METRICS",
    "NO_INTERVAL",
    "NO_OBJECTIVE",
    "OF_PREFERENCES",
    "Agreement",
    "Metric",
    "Outcome",
    "Spending",
    "agreement",
    "aiq",
    "any_best",
    "auc",
    "best_single_ratio",
    "brier",
    "choice_entropy",
    "cost_at_quality",
    "coverage",
    "ece",
    "effective_p",
    "gini",
    "hit",
    "lift",
    "mean_cost",
    "mean_score",
    "mrr",
    "ndcg",
    "oracle",
    "random",
    "reference_ratio",
    "regret",
    "selection_entropy",
    "unobserved_choice",
    "weighted_mean",
]
