"""From pools on test prompts to rows with intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.evaluation.summarise import unobserved_notes
from recroute.experiment.bootstrap import Bootstrap, interval_around
from recroute.pool_choice.judge import Judged
from recroute.util.numeric import Array, ratio

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
BOUNDED = ("mean_score", "oracle", "oracle_share_of_all", "unobserved_choice")
SHARES = tuple(name for name, (_, is_share) in METRICS.items() if is_share)
Key = tuple[str, int]  # group, pool size
Seen = Mapping[Key, Mapping[int, Judged]]  # by seed
_Estimator = Callable[[Array], tuple[float, Array]]


def rows_of(seen: Seen, test_ids: Mapping[int, NDArray[np.str_]], router: str) -> pl.DataFrame:
    """Every metric of every pool, for each seed and pooled, and paired differences of shares.

    A share is over the test instances on which both the pool and all LLMs together have a score; a difference is over
    those on which both pools have one too. Intervals resample test instances, the same for all pools.

    Parameters
    ----------
    seen : dict of (group, pool size) to dict of seed to Judged
        With a group "all" for each seed. A pool that not every seed has is left out.
    test_ids : dict of seed to str (n,)
    router : str
    """
    seeds = list(test_ids)
    bootstrap = Bootstrap([test_ids[seed] for seed in seeds], seeds[0])
    weights = [bootstrap.weights(i, test_ids[seed]).astype(np.float64) for i, seed in enumerate(seeds)]
    counts = [len(test_ids[seed]) for seed in seeds]
    rows: list[dict[str, Any]] = []
    for head, estimates in _estimates({key: [of[s] for s in seeds] for key, of in seen.items() if {*seeds} <= {*of}}):
        found = [estimate(weight) for estimate, weight in zip(estimates, weights, strict=True)]
        values, replicates = np.array([e[0] for e in found]), np.stack([e[1] for e in found])
        if np.isnan(values).all():
            continue
        n = round(sum(counts) / len(seeds))
        told: list[tuple[int | None, float, Array, int]] = []
        told.append((None, float(np.nanmean(values)), bootstrap.pool(values, replicates), n))
        if len(seeds) > 1:
            told += zip(seeds, values.tolist(), replicates, counts, strict=True)
        for seed, value, drawn, n in told:
            low, high = interval_around(value, drawn, n)
            if head["baseline"] is None and head["metric"] in BOUNDED:
                low, high = np.clip([low, high], 0, 1).tolist()  # percentiles taken further out need not stay inside
            row = {"seed": seed, "value": value, "ci_low": low, "ci_high": high, "n_instances": n}
            rows.append({"router": router, **head, **row})
    return pl.DataFrame(rows, schema=COLUMNS)


def _estimates(seen: Mapping[Key, list[Judged]]) -> Iterator[tuple[dict[str, Any], list[_Estimator]]]:
    """Each row's head, and for each seed what gives its value and replicates."""
    full = next(judged for (group, _), judged in seen.items() if group == ALL)
    for (group, size), pools in seen.items():
        for metric in METRICS:
            head = {"group": group, "baseline": None, "pool_size": size, "metric": metric}
            yield head, [partial(_estimate, metric, pool, of_all) for pool, of_all in zip(pools, full, strict=True)]
    for group, baseline in COMPARED:
        for size in sorted(size for name, size in seen if name == group):
            if (baseline, size) not in seen:
                continue
            trios = list(zip(seen[group, size], seen[baseline, size], full, strict=True))
            for metric in (*SHARES, "mean_score", "oracle"):
                head = {"group": group, "baseline": baseline, "pool_size": size, "metric": metric}
                yield head, [partial(_difference, metric, *trio) for trio in trios]


def incomplete_notes(rows: pl.DataFrame, seen: Seen) -> list[str]:
    """What of incomplete data a reader has to know."""
    found = rows.filter(pl.col("seed").is_null(), metric="unobserved_choice")
    notes = unobserved_notes(dict(found.group_by("group", maintain_order=True).agg(pl.col("value").max()).iter_rows()))
    left_out: dict[str, float] = {}
    for (group, _), of_seed in seen.items():
        share = max(float(np.isnan(judged.best).mean()) for judged in of_seed.values())
        left_out[group] = max(share, left_out.get(group, 0.0))
    if told := ", ".join(f"{group} up to {share:.1%}" for group, share in left_out.items() if share > 0):
        notes.append(f"test instances that were run on no LLM of a pool are left out of its means: {told}")
    return notes


def difference(pool: Judged, other: Judged, instance_ids: NDArray[np.str_], seed: int) -> tuple[float, float, float]:
    """How much higher the mean score of `pool` is, with its paired interval, on the instances where both have one."""
    weights = Bootstrap([instance_ids], seed).weights(0, instance_ids).astype(np.float64)
    value, replicates = _difference("mean_score", pool, other, pool, weights)
    return value, *interval_around(value, replicates, len(instance_ids))


def _difference(metric: str, pool: Judged, other: Judged, full: Judged, weights: Array) -> tuple[float, Array]:
    left, right = (_estimate(metric, a, full, weights, b) for a, b in ((pool, other), (other, pool)))
    return left[0] - right[0], left[1] - right[1]


def _estimate(
    metric: str, pool: Judged, full: Judged, weights: Array, paired: Judged | None = None
) -> tuple[float, Array]:
    """Value and replicates f64 (b,) of a metric, only over instances where `paired` has a value too."""
    name, is_share = METRICS[metric]
    above = getattr(pool, name)
    below = getattr(full, name) if is_share else np.ones(len(above))
    known = ~np.isnan(above) & ~np.isnan(below)
    if paired is not None:
        known &= ~np.isnan(getattr(paired, name))
    above, below = above[known], below[known]
    everyone = np.ones((1, len(above)))
    value, *_ = ratio(everyone @ above, everyone @ below)
    drawn = weights[:, known]
    return float(value), ratio(drawn @ above, drawn @ below)
