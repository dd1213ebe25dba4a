"""What `frontier` found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import polars as pl

from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.frontier_rows import POINT_COLUMNS, SINGLE
from recroute.experiment.compare import LEVEL, bracket

PROMPTS = 1000  # money is shown for so many


@dataclass(frozen=True, repr=False, eq=False)
class Frontier(Evaluation):
    """An Evaluation whose metrics are of cost-quality curves, and the points of the curves.

    Rows of the group "all" are routers: `aiq`, `cost_at_quality@95` and `@100` (cost of one answer), `reached@100` (the
    share of resamples in which the curve gets there) and, where cost does not count, `mean_score` and `mean_cost`.
    Rows of the group "llm" are single LLMs.

    Parameters
    ----------
    points : polars.DataFrame
        `router, group, point, trade_off, mean_cost, cost_low, cost_high, mean_score, score_low, score_high, on_hull`,
        pooled over seeds. `trade_off` is in units of score over the range of the LLMs' mean costs; null where only
        cost counts, and of single LLMs.
    """

    points: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=POINT_COLUMNS))

    @property
    def unit(self) -> str:
        """Of the costs."""
        return str(self.info["dataset"]["cost_unit"])

    def pooled(self, metric: str, group: str = "all") -> dict[str, dict[str, Any]]:  # type: ignore[override]
        """Rows of a metric pooled over seeds, by router."""
        found = self.rows.filter(pl.col("seed").is_null(), metric=metric, group=group)
        return {row["router"]: row for row in found.iter_rows(named=True)}

    @property
    def best_single(self) -> str:
        """The LLM with the highest mean score on test."""
        scores = self.pooled("mean_score", SINGLE)
        return max(scores, key=lambda name: (scores[name]["value"], -self.pooled("mean_cost", SINGLE)[name]["value"]))

    def sentences(self, metric: str | None = None) -> list[str]:
        """What can be said of each pair of routers by one metric, by default AIQ."""
        compared = self.comparisons.filter(metric=metric or "aiq")
        return [_sentence(row, self.unit) for row in compared.iter_rows(named=True)]

    def plot(self, metric: str | None = None, **options: Any) -> Any:
        """The curves as Matplotlib axes, see `plot_frontier`; they are the same for every metric."""
        return import_module("recroute.report").plot_frontier(self, **options)

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict and the figure."""
        return str(import_module("recroute.report").frontier_notebook(self))

    def to_dict(self, command: list[str] | None = None) -> dict[str, Any]:
        """The result JSON, with `points`."""
        numbers = [name for name, kind in POINT_COLUMNS.items() if kind == pl.Float64]
        return super().to_dict(command) | {
            "points": self.points.with_columns(pl.col(numbers).fill_nan(None)).to_dicts()
        }


def _sentence(row: Mapping[str, Any], unit: str) -> str:
    """A difference in AIQ, or in the cost of 1,000 prompts.

    >>> row = {"router": "auto", "baseline": "zero", "metric": "aiq", "value": 0.012, "p_holm": 0.01}
    >>> _sentence(row | {"ci_low": 0.004, "ci_high": 0.02}, "USD")
    'AIQ: auto is 0.0120 [0.0040, 0.0200] above zero'
    """
    value, low, high = row["value"], row["ci_low"], row["ci_high"]
    who, base = row["router"], row["baseline"]
    unclear = row["p_holm"] >= LEVEL or low <= 0 <= high
    if row["metric"] == "aiq":
        if unclear:
            return f"AIQ: {who} cannot be told from {base}: {value:+.4f} {bracket(low, high, '.4f')}"
        if value < 0:
            return f"AIQ: {who} is {-value:.4f} {bracket(-high, -low, '.4f')} below {base}"
        return f"AIQ: {who} is {value:.4f} {bracket(low, high, '.4f')} above {base}"
    percent = row["metric"].partition("@")[2]
    head = f"cost at {percent}% of the best single LLM's quality: {who}"
    if value is None or value != value:
        return f"{head} and {base} do not both get there"
    value, low, high = PROMPTS * value, PROMPTS * low, PROMPTS * high
    told = f"{value:+.4g} {bracket(low, high, '.4g')} {unit} per 1,000 prompts against {base}"
    return f"{head} {told}{', cannot be told apart' if unclear else ''}"
