"""Comparison of routers with a baseline: paired differences with Holm's correction, and sentences on them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from recroute.experiment.bootstrap import interval_around
from recroute.routers.trade_off import PROMPTS
from recroute.util.numeric import Array, known_mean

LEVEL = 0.05
BOUNDS = ("oracle", "oracle_mix", "random")  # not compared with routers
YARDSTICKS = (*BOUNDS, "best_single", "task_best", "reference")  # bounds, baselines and controls
Estimate = tuple[Array, Array]  # of each seed: values f64 (n_seeds,) and replicates f64 (n_seeds, b)
COMPARISON_COLUMNS = {
    "router": pl.String,
    "baseline": pl.String,
    "group": pl.String,
    "pool_size": pl.Int64,
    "metric": pl.String,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "p_value": pl.Float64,
    "p_holm": pl.Float64,
    "n_instances": pl.Int64,
}


def router_name(label: str) -> str:
    """Registry name in a label.

    >>> router_name("knn(n_neighbors=9)"), router_name("oracle [run]")
    ('knn', 'oracle')
    """
    return re.split(r"[( ]", label, maxsplit=1)[0]


def is_bound(label: str) -> bool:
    """Whether a label is that of a bound, which is not compared with routers."""
    return router_name(label) in BOUNDS


def is_yardstick(label: str) -> bool:
    """Whether a label is that of a bound, baseline or control."""
    return router_name(label) in YARDSTICKS


def two_sided_p(value: float, replicates: Array) -> float:
    """Two-sided p value of a difference, by a normal test with the standard deviation of its bootstrap replicates.

    The share of replicates beyond 0 would be at least 2 / (b + 1), which is too coarse for a correction over twenty
    comparisons.

    Parameters
    ----------
    value : float
    replicates : f64 (b,)

    Examples
    --------
    >>> round(two_sided_p(1.96, np.array([0.96, 2.96])), 3)
    0.05
    """
    known = replicates[~np.isnan(replicates)]
    deviation = float(known.std()) if len(known) else 0.0
    if deviation == 0:
        return 1.0 if value == 0 else 0.0
    return math.erfc(abs(value) / deviation / math.sqrt(2))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values after Holm's step-down correction.

    Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 1979.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = round(largest, 12)
    return corrected


def comparisons(
    estimates: Mapping[tuple[str, str, int | None, str], Estimate],
    baseline: str,
    n_instances: int,
    pool: Callable[[Array, Array], Array],
) -> pl.DataFrame:
    """Differences `router minus baseline` for every router except bounds, and every group, pool size and metric.

    Parameters
    ----------
    estimates : dict of (router, group, pool size, metric) to Estimate
        The replicates of all routers come from the same resamples.
    baseline : str
        Label of a router.
    n_instances : int
    pool : callable
        Computes replicates of the mean from values and replicates of each seed, see `Bootstrap.pool`.

    Returns
    -------
    polars.DataFrame
        With `COMPARISON_COLUMNS`; p_holm is corrected for the routers compared in the same group, size and metric.
    """
    rows: list[dict[str, Any]] = []
    for (router, group, size, metric), (values, replicates) in estimates.items():
        against = estimates.get((baseline, group, size, metric))
        if router == baseline or against is None or is_bound(router):
            continue
        head = {"router": router, "baseline": baseline, "group": group, "pool_size": size, "metric": metric}
        rows.append({**head, **paired((values, replicates), against, n_instances, pool)})
    return pl.DataFrame(with_holm(rows, ("group", "pool_size", "metric")), schema=COMPARISON_COLUMNS)


def paired(one: Estimate, other: Estimate, n_instances: int, pool: Callable[[Array, Array], Array]) -> dict[str, float]:
    """Difference of two estimates by seed, pooled: `value, ci_low, ci_high, p_value, n_instances`.

    `pool` is that of `comparisons`.
    """
    apart = one[0] - other[0]  # (n_seeds,)
    difference = pool(apart, one[1] - other[1])
    value = float(known_mean(apart)[0])
    low, high = interval_around(value, difference, n_instances)
    p_value = two_sided_p(value, difference)
    return {"value": value, "ci_low": low, "ci_high": high, "p_value": p_value, "n_instances": n_instances}


def with_holm(rows: Sequence[dict[str, Any]], family: Sequence[str]) -> list[dict[str, Any]]:
    """The rows with `p_holm`, corrected within each family: rows with equal values in these columns."""
    families: dict[tuple[Any, ...], list[int]] = {}
    for i, row in enumerate(rows):
        families.setdefault(tuple(row[name] for name in family), []).append(i)
    corrected = [0.0] * len(rows)
    for members in families.values():
        for i, p in zip(members, holm([rows[i]["p_value"] for i in members]), strict=True):
            corrected[i] = p
    return [{**row, "p_holm": p} for row, p in zip(rows, corrected, strict=True)]


def bracket(low: float, high: float, form: str = ".3f") -> str:
    """Format an interval.

    >>> bracket(0.1, 0.25, ".2f"), bracket(math.nan, math.nan)
    ('[0.10, 0.25]', '[no interval]')
    """
    return "[no interval]" if math.isnan(low + high) else f"[{low:{form}}, {high:{form}}]"


def sentence(row: Mapping[str, Any]) -> str:
    """Sentence on a comparison, in points (hundredths of the score).

    >>> row = {"router": "auto", "baseline": "knn", "value": 0.019, "ci_low": 0.012, "ci_high": 0.026, "p_holm": 0.004}
    >>> sentence(row)
    'auto beats knn by 1.9 points [1.2, 2.6]'
    >>> sentence(row | {"ci_low": -0.002, "p_holm": 0.09})
    'no clear difference: auto - knn = +1.9 points [-0.2, 2.6]'
    """
    size, low, high = 100 * row["value"], 100 * row["ci_low"], 100 * row["ci_high"]
    if row["p_holm"] >= LEVEL:
        corrected = " after Holm's correction" * (low > 0 or high < 0)
        difference = f"{row['router']} - {row['baseline']} = {size:+.1f} points"
        return f"no clear difference{corrected}: {difference} {bracket(low, high, '.1f')}"
    if size > 0:
        return f"{row['router']} beats {row['baseline']} by {size:.1f} points {bracket(low, high, '.1f')}"
    return f"{row['router']} is behind {row['baseline']} by {-size:.1f} points {bracket(-high, -low, '.1f')}"


def cost_sentence(row: Mapping[str, Any], unit: str) -> str:
    """Sentence on a difference in the mean cost of one prompt, stated for 1,000 of them.

    >>> row = {"router": "auto", "baseline": "knn", "value": -0.002, "ci_low": -0.003, "ci_high": -0.001}
    >>> cost_sentence(row | {"p_holm": 0.004}, "USD")
    ': auto - knn = -2 [-3, -1] USD per 1,000 prompts'
    """
    value, low, high = (PROMPTS * row[name] for name in ("value", "ci_low", "ci_high"))
    unclear = row["p_holm"] >= LEVEL or low <= 0 <= high
    difference = f"{row['router']} - {row['baseline']} = {value:+.4g} {bracket(low, high, '.4g')}"
    return f"{', no clear difference' * unclear}: {difference} {unit} per {PROMPTS:,} prompts"
