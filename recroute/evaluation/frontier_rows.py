"""From choices at every weight of cost to curves, their metrics and paired differences, with intervals."""

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
from recroute.experiment.rows import COLUMNS
from recroute.metrics import METRICS, Spending
from recroute.metrics.cost import PERCENTS, hull, least_cost, mean_height
from recroute.retrieval import first_evaluated
from recroute.util.numeric import Array, known_mean

GROUP, SINGLE = "all", "llm"  # groups of rows: routers, and single LLMs
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
    """What the routers chose on the n test instances of one seed, at p weights of cost f64 (p,), by label.

    Scores and costs of the m LLMs on their own are f32 (n, m): standardised, so that means over instances compare LLMs
    that were evaluated on different ones; NaN where unknown. `observed` are the scores as they are.
    """

    seed: int
    instance_id: NDArray[np.str_]
    curves: dict[str, Spending]
    weights: Array
    llm_ids: list[str]
    scores: NDArray[np.float32]
    costs: NDArray[np.float32]
    observed: NDArray[np.float32]

    def best_single(self, order: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scores f32 (n, 1) of the best LLM of an order, judged as routers are."""
        return np.take_along_axis(self.observed, first_evaluated(self.observed, order)[:, None], axis=1)


@dataclass(frozen=True, eq=False)
class _Points:
    """Mean costs and scores f64 (b, p): of the data themselves (b = 1), or of resamples."""

    cost: Array
    score: Array


def summarise_curves(
    traced: Sequence[Traced], seed: int, n_resamples: int
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, list[str]]:
    """Rows of metrics, points of the curves, paired differences between routers, and notes.

    Points are means over seeds; the metrics, and their replicates, are those of the mean curve.
    """
    first, resampled = traced[0], _Resampled(traced, seed, n_resamples)
    n, m = resampled.n_instances, len(first.llm_ids)
    llms = resampled.points([t.costs for t in traced], [t.scores for t in traced])
    dearest = [next(iter(t.curves.values())).dearest[:, None] for t in traced]  # the same for every router
    dear = resampled.points(dearest, dearest)
    by_score = np.argsort(-llms[0][0].score[0], kind="stable")  # LLMs without a score come last
    best_scores = [t.best_single(by_score) for t in traced]
    targets = resampled.points(best_scores, best_scores)
    rows: list[dict[str, Any]] = []
    points: list[dict[str, Any]] = []
    estimates = {}
    seeds = [None, *(found.seed for found in traced)][: len(llms)]
    for label in first.curves:
        found = resampled.points([t.curves[label].costs for t in traced], [t.curves[label].scores for t in traced])
        points += _point_rows(label, GROUP, first.weights, *found[0], n)
        for which, curve, target, dearest_llm in zip(seeds, found, targets, dear, strict=True):
            for metric, (value, drawn) in _metrics(curve, target, dearest_llm):
                rows.append(_row(label, GROUP, m, which, metric, value, drawn, n))
                if which is None and metric in COMPARED:
                    estimates[label, GROUP, m, metric] = (np.array([value]), drawn[None])
    for j, name in enumerate(first.llm_ids):
        single, drawn_single = (_Points(p.cost[:, [j]], p.score[:, [j]]) for p in llms[0])
        points += _point_rows(name, SINGLE, np.array([np.nan]), single, drawn_single, n)
        for metric, of in (("mean_score", "score"), ("mean_cost", "cost")):
            value, drawn = getattr(single, of)[0, 0], getattr(drawn_single, of)[:, 0]
            rows.append(_row(name, SINGLE, 1, None, metric, float(value), drawn, n))
    pairs = [
        comparisons({k: v for k, v in estimates.items() if k[0] in pair}, pair[1], n, _only)
        for pair in combinations([label for label in first.curves if not is_bound(label)], 2)
    ]
    tables = pl.DataFrame(rows, schema=COLUMNS), pl.DataFrame(points, schema=POINT_COLUMNS)
    compared = pl.concat(pairs) if pairs else pl.DataFrame(schema=COMPARISON_COLUMNS)
    return *tables, compared, [_about(first.llm_ids[by_score[0]], n, len(traced))]


class _Resampled:
    """Means over test instances and over seeds, of the data and of resamples that all routers share."""

    def __init__(self, traced: Sequence[Traced], seed: int, n_resamples: int) -> None:
        ids = [found.instance_id for found in traced]
        self._bootstrap = Bootstrap(ids, seed, n_resamples)
        self._weights = [self._bootstrap.weights(i, own) for i, own in enumerate(ids)]
        self.n_instances = round(np.mean([len(own) for own in ids]))

    def points(
        self, costs: Sequence[NDArray[np.floating]], scores: Sequence[NDArray[np.floating]]
    ) -> list[tuple[_Points, _Points]]:
        """From values float (n, p) of each seed: points of the data and of resamples, for all seeds and for each.

        With one seed there is one entry.
        """
        each = []
        for cost, score, weight in zip(costs, scores, self._weights, strict=True):
            each.append(
                (
                    _Points(known_mean(cost), known_mean(score)),
                    _Points(known_mean(cost, weight), known_mean(score, weight)),
                )
            )
        if len(each) == 1:
            return each
        cost, score = (np.nanmean([getattr(data, name) for data, _ in each], axis=0) for name in ("cost", "score"))
        return [(_Points(cost, score), _Points(self._pooled(each, "cost"), self._pooled(each, "score"))), *each]

    def _pooled(self, each: list[tuple[_Points, _Points]], name: str) -> Array:
        """Replicates f64 (b, p) of the mean over seeds."""
        values = np.stack([getattr(data, name)[0] for data, _ in each])  # (n_seeds, p)
        drawn = np.stack([getattr(resampled, name) for _, resampled in each])  # (n_seeds, b, p)
        columns = [self._bootstrap.pool(values[:, j], drawn[:, :, j]) for j in range(values.shape[1])]
        return np.asarray(np.stack(columns, axis=1))


def _only(values: Array, replicates: Array) -> Array:
    """The seeds are pooled already."""
    return np.asarray(replicates[0])


def _metrics(
    curve: tuple[_Points, _Points], best: tuple[_Points, _Points], dear: tuple[_Points, _Points]
) -> Iterator[tuple[str, tuple[float, Array]]]:
    """Values and replicates f64 (b,) of a curve: at weight 0, and of its hull."""
    found: dict[str, list[Array]] = {}
    for points, single, dearest in zip(curve, best, dear, strict=True):
        x, y = hull(points.cost, points.score)
        found.setdefault("mean_score", []).append(points.score[:, 0])
        found.setdefault("mean_cost", []).append(points.cost[:, 0])
        found.setdefault("aiq", []).append(mean_height(x, y, points.cost[:, -1], dearest.cost[:, 0]))
        for percent in PERCENTS:
            target = percent / 100 * single.score[:, 0]
            found.setdefault(f"cost_at_quality@{percent}", []).append(least_cost(x, y, target))
            found.setdefault(f"reached@{percent}", []).append((y.max(axis=1) >= target - 1e-12).astype(np.float64))
    for metric, (value, drawn) in found.items():
        if metric.startswith("reached"):
            yield metric, (float(drawn.mean()), np.empty(0))  # a share of the resamples: itself without an interval
        else:
            yield metric, (float(value[0]), drawn)


def _row(
    router: str, group: str, size: int, seed: int | None, metric: str, value: float, drawn: Array, n: int
) -> dict[str, Any]:
    low, high = interval_around(value, drawn, n)
    head = {"router": router, "group": group, "pool_size": size, "seed": seed, "metric": metric}
    return head | {"value": value, "ci_low": low, "ci_high": high, "n_instances": n}


def _point_rows(
    router: str, group: str, weights: Array, points: _Points, drawn: _Points, n: int
) -> Iterator[dict[str, Any]]:
    height = np.interp(points.cost[0], *(line[0] for line in hull(points.cost, points.score)))
    for i, weight in enumerate(weights):
        cost_low, cost_high = interval_around(float(points.cost[0, i]), drawn.cost[:, i], n)
        score_low, score_high = interval_around(float(points.score[0, i]), drawn.score[:, i], n)
        yield {
            "router": router,
            "group": group,
            "point": i,
            "trade_off": None if not np.isfinite(weight) else float(weight),
            "mean_cost": float(points.cost[0, i]),
            "cost_low": cost_low,
            "cost_high": cost_high,
            "mean_score": float(points.score[0, i]),
            "score_low": score_low,
            "score_high": score_high,
            "on_hull": bool(points.score[0, i] >= height[i] - 1e-12),
        }


def _about(best: str, n: int, n_seeds: int) -> str:
    over = f"{n_seeds} test sets of about {n} instances" if n_seeds > 1 else f"{n} test instances"
    return f"the best single LLM, on {over}, is {best}"
