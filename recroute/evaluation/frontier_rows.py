"""Rows of a `Frontier`: curves, metrics and paired differences with intervals, from choices at every cost weight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.experiment.bootstrap import Bootstrap, interval_around
from recroute.experiment.compare import COMPARISON_COLUMNS, comparisons, is_bound
from recroute.experiment.rows import COLUMNS, row_of
from recroute.metrics import METRICS, Spending
from recroute.metrics.cost import PERCENTS, hull, least_cost, mean_height
from recroute.retrieval import first_evaluated
from recroute.util.numeric import Array, Floats, Index, known_mean

GROUP, SINGLE = "all", "llm"  # groups of rows: routers and single LLMs
ZERO = "zero"  # RouterBench's mixtures of single LLMs
COMPARED = [name for name, metric in METRICS.items() if metric.compared == "by cost"]
POINT_COLUMNS = {
    "router": pl.String,
    "group": pl.String,
    "point": pl.Int64,
    "trade_off": pl.Float64,
    "mean_cost": pl.Float64,
    "cost_low": pl.Float64,
    "cost_high": pl.Float64,
    "mean_score": pl.Float64,
    "score_low": pl.Float64,
    "score_high": pl.Float64,
    "on_hull": pl.Boolean,
}


@dataclass(frozen=True, eq=False)
class Traced:
    """Choices of the routers, by label, on the n test instances of one seed at p cost weights f64 (p,).

    `scores` and `costs` f32 (n, m) are those of the m single LLMs, NaN where unknown. They are standardised, so that
    means are comparable between LLMs evaluated on different instances; `observed` are the original scores.
    """

    seed: int
    instance_id: NDArray[np.str_]
    curves: dict[str, Spending]
    weights: Array
    llm_ids: list[str]
    scores: Floats
    costs: Floats
    observed: Floats

    def best_single(self, order: Index) -> Floats:
        """Scores f32 (n, 1) of the first LLM in `order`, judged like the routers' choices."""
        return np.take_along_axis(self.observed, first_evaluated(self.observed, order)[:, None], axis=1)


@dataclass(frozen=True, eq=False)
class _Points:
    """Mean costs and scores f64 (b, p), of the data (b = 1) or of resamples."""

    cost: Array
    score: Array


def summarise_curves(
    traced: Sequence[Traced], seed: int, n_resamples: int
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, list[str]]:
    """Metric rows, points of the curves, paired differences between routers, and notes.

    Points are means over seeds; metrics and their replicates are those of the mean curve.
    """
    first, resampled = traced[0], _Resampled(traced, seed, n_resamples)
    llms = resampled.points([t.costs for t in traced], [t.scores for t in traced])
    by_score = np.argsort(-llms[0][0].score[0], kind="stable")  # LLMs without a score come last
    tables = _Tables(len(first.llm_ids), resampled.n_instances)
    tables.add_routers(traced, resampled, by_score)
    for j, name in enumerate(first.llm_ids):
        tables.add_llm(name, *(_Points(p.cost[:, [j]], p.score[:, [j]]) for p in llms[0]))
    over = f"{len(traced)} test sets of about {tables.n}" if len(traced) > 1 else f"{tables.n} test"
    note = f"the best single LLM on {over} instances is {first.llm_ids[by_score[0]]}"
    rows, points = pl.DataFrame(tables.rows, schema=COLUMNS), pl.DataFrame(tables.points, schema=POINT_COLUMNS)
    return rows, points, tables.compared(), [note]


class _Tables:
    """Collects metric rows, points and estimates for comparisons, for m LLMs and n test instances."""

    def __init__(self, m: int, n: int) -> None:
        self.m, self.n = m, n
        self.rows: list[dict[str, Any]] = []
        self.points: list[dict[str, Any]] = []
        self.estimates: dict[tuple[str, str, int | None, str], tuple[Array, Array]] = {}

    def add_routers(self, traced: Sequence[Traced], resampled: _Resampled, by_score: Index) -> None:
        """Add every router's curve; `by_score` lists the LLMs from best to worst."""
        dearest = [next(iter(t.curves.values())).dearest[:, None] for t in traced]  # equal for all routers
        best = [t.best_single(by_score) for t in traced]
        limits = resampled.points(dearest, best)
        seeds = [None, *(found.seed for found in traced)][: len(limits)]
        for label in traced[0].curves:
            spent = [t.curves[label] for t in traced]
            found = resampled.points([s.costs for s in spent], [s.scores for s in spent])
            self._add_points(label, GROUP, traced[0].weights, *found[0])
            head = {"router": label, "group": GROUP, "pool_size": self.m}
            for seed, curve, limit in zip(seeds, found, limits, strict=True):
                for metric, (value, drawn) in _metrics(curve, limit):
                    self._add_row({**head, "seed": seed, "metric": metric}, value, drawn)
                    if seed is None and metric in COMPARED:
                        self.estimates[label, GROUP, self.m, metric] = (np.array([value]), drawn[None])

    def add_llm(self, name: str, single: _Points, drawn: _Points) -> None:
        """Add a single LLM."""
        self._add_points(name, SINGLE, np.array([np.nan]), single, drawn)
        for metric, of in (("mean_score", "score"), ("mean_cost", "cost")):
            head = {"router": name, "group": SINGLE, "pool_size": 1, "seed": None, "metric": metric}
            self._add_row(head, float(getattr(single, of)[0, 0]), getattr(drawn, of)[:, 0])

    def compared(self) -> pl.DataFrame:
        """Comparisons of all pairs of routers, without bounds."""
        labels = dict.fromkeys(label for label, *_ in self.estimates if not is_bound(label))
        pairs = [
            comparisons({k: v for k, v in self.estimates.items() if k[0] in pair}, pair[1], self.n, _only)
            for pair in combinations(labels, 2)
        ]
        return pl.concat(pairs) if pairs else pl.DataFrame(schema=COMPARISON_COLUMNS)

    def _add_row(self, head: dict[str, Any], value: float, drawn: Array) -> None:
        within = METRICS[head["metric"]].within if head["metric"] in METRICS else None
        self.rows.append(row_of({**head, "n_instances": self.n}, value, drawn, self.n, within))

    def _add_points(self, router: str, group: str, weights: Array, points: _Points, drawn: _Points) -> None:
        height = np.interp(points.cost[0], *(line[0] for line in hull(points.cost, points.score)))
        for i, weight in enumerate(weights):
            cost, score = float(points.cost[0, i]), float(points.score[0, i])
            cost_low, cost_high = interval_around(cost, drawn.cost[:, i], self.n)
            score_low, score_high = interval_around(score, drawn.score[:, i], self.n)
            self.points.append(
                {
                    "router": router,
                    "group": group,
                    "point": i,
                    "trade_off": float(weight) if np.isfinite(weight) else None,
                    "mean_cost": cost,
                    "cost_low": cost_low,
                    "cost_high": cost_high,
                    "mean_score": score,
                    "score_low": score_low,
                    "score_high": score_high,
                    "on_hull": bool(score >= height[i] - 1e-12),
                }
            )


class _Resampled:
    """Means over test instances and seeds, of the data and of bootstrap resamples shared by all routers."""

    def __init__(self, traced: Sequence[Traced], seed: int, n_resamples: int) -> None:
        ids = [found.instance_id for found in traced]
        self._bootstrap = Bootstrap(ids, seed, n_resamples)
        self._weights = [self._bootstrap.weights(i, own) for i, own in enumerate(ids)]
        self.n_instances = round(np.mean([len(own) for own in ids]))

    def points(
        self, costs: Sequence[NDArray[np.floating]], scores: Sequence[NDArray[np.floating]]
    ) -> list[tuple[_Points, _Points]]:
        """Points of the data and of the resamples, from values float (n, p) of each seed.

        The first entry is pooled over seeds, the others are those of each seed; a single seed has one entry.
        """
        each = [
            (_Points(known_mean(cost), known_mean(score)), _Points(known_mean(cost, drawn), known_mean(score, drawn)))
            for cost, score, drawn in zip(costs, scores, self._weights, strict=True)
        ]
        if len(each) == 1:
            return each
        cost, score = (known_mean([getattr(data, name)[0] for data, _ in each]) for name in ("cost", "score"))
        return [(_Points(cost, score), _Points(self._pooled(each, "cost"), self._pooled(each, "score"))), *each]

    def _pooled(self, each: list[tuple[_Points, _Points]], name: str) -> Array:
        """Replicates f64 (b, p) of the mean over seeds."""
        values = np.stack([getattr(data, name)[0] for data, _ in each])  # (n_seeds, p)
        drawn = np.stack([getattr(resampled, name) for _, resampled in each])  # (n_seeds, b, p)
        columns = [self._bootstrap.pool(values[:, j], drawn[:, :, j]) for j in range(values.shape[1])]
        return np.asarray(np.stack(columns, axis=1))


def _only(values: Array, replicates: Array) -> Array:
    """Replicates of a single entry, because the seeds are pooled already."""
    return np.asarray(replicates[0])


def _metrics(
    curve: tuple[_Points, _Points], limits: tuple[_Points, _Points]
) -> Iterator[tuple[str, tuple[float, Array]]]:
    """Values and replicates f64 (b,) of a curve's metrics: those of weight 0 and those of its hull.

    `limits` are the cost of the most expensive LLM and the score of the best one.
    """
    found: dict[str, list[Array]] = {}
    for points, limit in zip(curve, limits, strict=True):
        x, y = hull(points.cost, points.score)
        found.setdefault("mean_score", []).append(points.score[:, 0])
        found.setdefault("mean_cost", []).append(points.cost[:, 0])
        found.setdefault("aiq", []).append(mean_height(x, y, points.cost[:, -1], limit.cost[:, 0]))
        for percent in PERCENTS:
            target = percent / 100 * limit.score[:, 0]
            found.setdefault(f"cost_at_quality@{percent}", []).append(least_cost(x, y, target))
            found.setdefault(f"reached@{percent}", []).append((y.max(axis=1) >= target - 1e-12).astype(np.float64))
    for metric, (value, drawn) in found.items():
        if metric.startswith("reached"):
            yield metric, (float(drawn.mean()), np.empty(0))  # a share of the resamples has no interval
        else:
            yield metric, (float(value[0]), drawn)
