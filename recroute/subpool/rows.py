"""From pools on test prompts to rows with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.evaluation.bootstrap import Bootstrap, interval
from recroute.subpool.judge import Array, Judged

COLUMNS: dict[str, Any] = {
    "router": pl.String,
    "group": pl.String,
    "baseline": pl.String,
    "pool_size": pl.Int64,
    "seed": pl.Int64,
    "metric": pl.String,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "n_instances": pl.Int64,
}
ALL, ROUTED, ORACLE, STRONG, RANDOM, SINGLE = (
    "all",
    "chosen_routed",
    "chosen_oracle",
    "all_strong",
    "random",
    "best_single",
)
COMPARED = ((ROUTED, STRONG), (ORACLE, STRONG), (ROUTED, ORACLE), (ROUTED, RANDOM))
# metric: what is averaged, and whether it is told as a share of what all LLMs come to
METRICS = {
    "mean_score": ("chosen", False),
    "oracle": ("best", False),
    "share_of_all": ("chosen", True),
    "oracle_share_of_all": ("best", True),
    "unobserved_choice": ("unobserved", False),
    "mean_cost": ("cost", False),
}
SHARES = tuple(name for name, (_, is_share) in METRICS.items() if is_share)
Key = tuple[str, int]  # group, pool size
Seen = Mapping[Key, Mapping[int, Judged]]  # by seed


def rows_of(seen: Seen, test_ids: Mapping[int, NDArray[np.str_]], router: str) -> pl.DataFrame:
    """Every metric of every pool, for each seed and pooled, and paired differences of shares.

    A share is over the test instances on which both the pool and all LLMs together have a score; a difference is over
    those on which both pools have one too. Intervals resample test instances, the same for all pools.
    """
    seeds = list(test_ids)
    bootstrap = Bootstrap([test_ids[seed] for seed in seeds], seeds[0])
    weights = {seed: bootstrap.weights(i, test_ids[seed]).astype(np.float64) for i, seed in enumerate(seeds)}
    (full,) = (of_seed for (group, _), of_seed in seen.items() if group == ALL)
    rows: list[dict[str, Any]] = []

    def add(head: dict[str, Any], estimates: list[tuple[float, Array]]) -> None:
        values, replicates = np.array([e[0] for e in estimates]), np.stack([e[1] for e in estimates])
        if np.isnan(values).all():
            return
        n = round(sum(map(len, test_ids.values())) / len(seeds))
        pooled = interval(bootstrap.pool(values, replicates), n)
        rows.append(_row(head, None, float(np.nanmean(values)), pooled, n))
        if len(seeds) > 1:
            for seed, value, drawn in zip(seeds, values, replicates, strict=True):
                n = len(test_ids[seed])
                rows.append(_row(head, seed, float(value), interval(drawn, n), n))

    for (group, size), of_seed in seen.items():
        if len(of_seed) < len(seeds):
            continue  # not every seed has this pool
        head = {"router": router, "group": group, "baseline": None, "pool_size": size}
        for metric in METRICS:
            found = [_estimate(metric, of_seed[s], full[s], None, weights[s]) for s in seeds]
            add(head | {"metric": metric}, found)
    for group, baseline in COMPARED:
        for size in sorted({size for name, size in seen if name == group}):
            against = seen.get((baseline, size), {})
            if len(against) < len(seeds):
                continue
            head = {"router": router, "group": group, "baseline": baseline, "pool_size": size}
            for metric in (*SHARES, "mean_score", "oracle"):
                pairs = [
                    (
                        _estimate(metric, seen[group, size][s], full[s], against[s], weights[s]),
                        _estimate(metric, against[s], full[s], seen[group, size][s], weights[s]),
                    )
                    for s in seeds
                ]
                add(head | {"metric": metric}, [(a[0] - b[0], a[1] - b[1]) for a, b in pairs])
    return pl.DataFrame(rows, schema=COLUMNS)


def difference(pool: Judged, other: Judged, instance_ids: NDArray[np.str_], seed: int) -> tuple[float, float, float]:
    """How much higher the mean score of `pool` is, with its paired interval, on the instances where both have one."""
    weights = Bootstrap([instance_ids], seed).weights(0, instance_ids).astype(np.float64)
    left, right = (_estimate("mean_score", a, a, b, weights) for a, b in ((pool, other), (other, pool)))
    return left[0] - right[0], *interval(left[1] - right[1], len(instance_ids))


def _estimate(metric: str, pool: Judged, full: Judged, paired: Judged | None, weights: Array) -> tuple[float, Array]:
    """Value and replicates f64 (b,) of a metric, only over instances where `paired` has a value too."""
    name, is_share = METRICS[metric]
    above = getattr(pool, name)
    below = getattr(full, name) if is_share else np.ones(len(above))
    known = ~np.isnan(above) & ~np.isnan(below)
    if paired is not None:
        known &= ~np.isnan(getattr(paired, name))
    everyone = np.ones((1, int(known.sum())))
    return float(_ratio(everyone, above[known], below[known])[0]), _ratio(weights[:, known], above[known], below[known])


def _ratio(weights: Array, above: Array, below: Array) -> Array:
    top, bottom = weights @ above, weights @ below
    found: Array = np.divide(top, bottom, out=np.full(len(weights), np.nan), where=bottom > 0)
    return found


def _row(head: dict[str, Any], seed: int | None, value: float, bounds: tuple[float, float], n: int) -> dict[str, Any]:
    return head | {"seed": seed, "value": value, "ci_low": bounds[0], "ci_high": bounds[1], "n_instances": n}
