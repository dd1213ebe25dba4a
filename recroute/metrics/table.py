"""The table of all metrics. To add a metric, write its formula and add a record here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Literal

from recroute.metrics.calibration import auc, brier, ece
from recroute.metrics.cost import PERCENTS, aiq, cost_at_quality, mean_cost
from recroute.metrics.observed import RANKS
from recroute.metrics.outcome import Outcome
from recroute.metrics.quality import (
    any_best,
    best_single_ratio,
    effective_p,
    lift,
    mean_score,
    oracle,
    random,
    reference_ratio,
    regret,
    unobserved_choice,
)
from recroute.metrics.ranking import agreement, hit, mrr, ndcg
from recroute.metrics.spread import choice_entropy, coverage, gini, selection_entropy
from recroute.util.numeric import Array, Weights


@dataclass(frozen=True, eq=False)
class Metric:
    """A metric: its formula, and how tables, comparisons and searches treat it.

    Parameters
    ----------
    name : str
        Key in results and options.
    formula : callable
        Maps an outcome and weights (b, n), one row per resample, to values f64 (b,); without weights b is 1. Its
        docstring defines the metric.
    of : {"choices", "predictions", "costs", "preferences"}
        What the metric is computed from; it is NaN if the outcome lacks this.
    better : {"higher", "lower", ""}
        Better direction, which a search optimises; "" if there is none.
    compared : {"", "by pool", "by cost"}
        Whether routers are compared in it pairwise: at every pool size, or as cost-quality curves.
    interval : bool
        Whether it has an interval.
    within : (float, float)
        Range of its values, to which intervals are clipped.
    title, head : str
        Name in captions and in column heads (default: the name in words).
    column : int
        Position in tables of the main metrics; 0 if it is not among them.
    """

    name: str
    formula: Callable[..., Array]
    of: Literal["choices", "predictions", "costs", "preferences"] = "choices"
    better: Literal["higher", "lower", ""] = "higher"
    compared: Literal["", "by pool", "by cost"] = ""
    interval: bool = True
    within: tuple[float, float] = (0.0, 1.0)
    title: str = ""
    head: str = ""
    column: int = 0

    def __post_init__(self) -> None:
        words = self.name.replace("_", " ")
        object.__setattr__(self, "head", self.head or words)
        object.__setattr__(self, "title", self.title or words)

    def __call__(self, outcome: Outcome, weights: Weights | None = None) -> Array:
        return self.formula(outcome, weights)

    @property
    def description(self) -> str:
        """Docstring of the formula."""
        return getattr(self.formula, "func", self.formula).__doc__ or ""


def _at(name: str, formula: Callable[..., Array], key: str, value: int, **facts: Any) -> Metric:
    """Metric at one k or percentage, such as ndcg@10."""
    return Metric(f"{name}@{value}", partial(formula, **{key: value}), **facts)


POSITIVE, ANY = (0.0, inf), (-inf, inf)
COSTS: dict[str, Any] = {"of": "costs", "better": "lower", "within": POSITIVE}

METRICS = {
    metric.name: metric
    for metric in (
        Metric("mean_score", mean_score, compared="by pool", title="mean score (mu)", head="mu", column=1),
        Metric(
            "best_single_ratio",
            best_single_ratio,
            within=POSITIVE,
            compared="by pool",
            title="mu / best single LLM on test (V_B)",
            head="V_B",
            column=2,
        ),
        Metric("reference_ratio", reference_ratio, within=POSITIVE),
        Metric(
            "lift",
            lift,
            within=(-1.0, 1.0),
            compared="by pool",
            title="mu - best single LLM of train (lift)",
            column=3,
        ),
        Metric("effective_p", effective_p, within=ANY, column=4),
        Metric("regret", regret, better="lower"),
        Metric("any_best", any_best),
        Metric("oracle", oracle, better=""),
        Metric("random", random, better=""),
        *(_at("ndcg", ndcg, "k", k, of="predictions") for k in RANKS),
        *(_at("hit", hit, "k", k, of="predictions") for k in RANKS),
        Metric("mrr", mrr, of="predictions"),
        Metric("brier", brier, of="predictions", better="lower", within=POSITIVE),
        Metric("ece", ece, of="predictions", better="lower", within=POSITIVE),
        Metric("auc", auc, of="predictions"),
        Metric("selection_entropy", selection_entropy, better="", within=POSITIVE),
        Metric("choice_entropy", choice_entropy, within=POSITIVE, column=6),
        Metric("coverage", coverage, interval=False),  # a resample can only lose LLMs
        Metric("gini", gini, better="lower"),
        Metric("mean_cost", mean_cost, **COSTS),
        *(
            _at("cost_at_quality", cost_at_quality, "percent", percent, compared="by cost", **COSTS)
            for percent in PERCENTS
        ),
        Metric("aiq", aiq, of="costs", compared="by cost"),
        Metric("unobserved_choice", unobserved_choice, better="lower"),
        Metric(
            "agreement",
            agreement,
            of="preferences",
            compared="by pool",
            title="agreement with decided preferences",
            column=5,
        ),
    )
}
