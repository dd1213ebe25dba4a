"""The curves of a frontier, for every kind of plot; costs are of 1,000 prompts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.evaluation import Frontier
from recroute.evaluation.frontier_result import PROMPTS
from recroute.evaluation.frontier_rows import GROUP, SINGLE
from recroute.experiment.compare import is_yardstick
from recroute.metrics.cost import hull

Array = NDArray[np.float64]
ZERO = "zero"


@dataclass(frozen=True, eq=False)
class CostCurve:
    """A router's points on its hull by rising cost: cost, score, and the ends of the score's interval, f64 (k,)."""

    router: str
    cost: Array
    score: Array
    low: Array
    high: Array

    @property
    def is_bound(self) -> bool:
        return self.router == ZERO or is_yardstick(self.router)

    def dense(self, n: int = 200) -> tuple[Array, Array]:
        """Costs and scores f64 (n,) of the mixtures between the points, evenly spaced as a logarithmic axis has it."""
        if len(self.cost) == 1:
            return self.cost, self.score
        if self.cost[0] > 0:
            between = np.geomspace(self.cost[0], self.cost[-1], n)
        else:
            between = np.linspace(self.cost[0], self.cost[-1], n)
        x = np.union1d(between, self.cost).clip(self.cost[0], self.cost[-1])
        return x, np.interp(x, self.cost, self.score)


def cost_curves(found: Frontier) -> list[CostCurve]:
    """Of all routers, in the order of the table."""
    curves = []
    rows = found.points.filter(pl.col("group") == GROUP, pl.col("on_hull"))
    for router in rows["router"].unique(maintain_order=True):
        own = rows.filter(router=router).unique(["mean_cost", "mean_score"], keep="first").sort("mean_cost")
        cost, score, low, high = (
            own[name].to_numpy() for name in ("mean_cost", "mean_score", "score_low", "score_high")
        )
        curves.append(CostCurve(router, PROMPTS * cost, score, low, high))
    return curves


def single_llms(found: Frontier) -> pl.DataFrame:
    """Points of the single LLMs by rising cost of 1,000 prompts, without those nobody judged on test.

    `on_hull` is about their common hull on test.
    """
    judged = pl.col("mean_cost").is_finite() & pl.col("mean_score").is_finite()
    rows = found.points.filter(pl.col("group") == SINGLE, judged).sort("mean_cost")
    cost, score = rows["mean_cost"].to_numpy(), rows["mean_score"].to_numpy()
    _, height = hull(cost[None], score[None])
    money = [pl.col(name) * PROMPTS for name in ("mean_cost", "cost_low", "cost_high")]
    return rows.with_columns(pl.Series("on_hull", score >= height[0] - 1e-12), *money)


def logarithmic(found: Frontier) -> bool:
    """Whether costs can stand on a logarithmic axis: none is free."""
    lowest = found.points["mean_cost"].min()
    return isinstance(lowest, float) and lowest > 0
