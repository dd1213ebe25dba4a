"""Rows of a PoolChoice: metrics of judged pools and their paired differences, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.experiment.bootstrap import Bootstrap, interval_around
from recroute.experiment.outcomes import unobserved_notes
from recroute.experiment.rows import COLUMNS as OF_POOLS
from recroute.experiment.rows import rows_of_seeds
from recroute.pool_choice.judge import Judged
from recroute.util.numeric import Array, ratio

COLUMNS = {"router": pl.String, "group": pl.String, "baseline": pl.String, **OF_POOLS}
ALL, ROUTED, ORACLE, STRONG, RANDOM, SINGLE = (
    "all",
    "chosen_routed",
    "chosen_oracle",
    "all_strong",
    "random",
    "best_single",
)
GROUPS = {  # labels of the groups, in the order of tables and plots
    ROUTED: "chosen for routing",
    ORACLE: "chosen for the oracle",
    STRONG: "all_strong",
    RANDOM: "random",
    SINGLE: "best single LLM",
}
COMPARED = ((ROUTED, STRONG), (ORACLE, STRONG), (ROUTED, ORACLE), (ROUTED, RANDOM))
METRICS = {  # the field of Judged that is averaged, and whether it is divided by that of all LLMs
    "mean_score": ("chosen", False),
    "oracle": ("best", False),
    "share_of_all": ("chosen", True),
    "oracle_share_of_all": ("best", True),
    "unobserved_choice": ("unobserved", False),
    "mean_cost": ("cost", False),
}
SHARES = {"share_of_all": "routed quality", "oracle_share_of_all": "oracle score"}
OF_ALL = {"share_of_all": "mean_score", "oracle_share_of_all": "oracle"}  # the metric that each is a share of
BOUNDED = ("mean_score", "oracle", "oracle_share_of_all", "unobserved_choice")  # metrics in [0, 1]
Key = tuple[str, int]  # group, pool size
_Estimator = Callable[[Array], tuple[float, Array]]


def rows_of(
    judged: Mapping[Key, Sequence[Judged]], ids: Sequence[NDArray[np.str_]], seeds: Sequence[int], router: str
) -> pl.DataFrame:
    """Every metric of every pool, for each seed and pooled over seeds, and paired differences between pools.

    A share is computed on the test instances for which both the pool and all LLMs together have a score, a difference
    on those for which the other pool has one too. Intervals resample test instances, the same ones for all pools.

    Parameters
    ----------
    judged : dict of (group, pool size) to list of Judged, one for each seed
        Must include the group "all".
    ids : list of str (n,)
        Ids of the test instances of each seed.
    seeds : list of int
    router : str
        Label of the router.

    Returns
    -------
    polars.DataFrame with the columns `COLUMNS`
    """
    bootstrap = Bootstrap(ids, seeds[0])
    weights = [bootstrap.weights(i, own).astype(np.float64) for i, own in enumerate(ids)]
    counts = [len(own) for own in ids]
    counts = [round(sum(counts) / len(counts)), *counts]
    rows: list[dict[str, Any]] = []
    for head, estimates in _estimates(judged):
        of_seeds = [estimate(weight) for estimate, weight in zip(estimates, weights, strict=True)]
        values, replicates = np.array([e[0] for e in of_seeds]), np.stack([e[1] for e in of_seeds])
        if np.isnan(values).all():
            continue
        within = (0, 1) if head["baseline"] is None and head["metric"] in BOUNDED else None
        summaries = rows_of_seeds(
            {"router": router, **head}, seeds, values, replicates, pool=bootstrap.pool, counts=counts, within=within
        )
        numbered = [{**row, "n_instances": n} for row, n in zip(summaries, counts, strict=True)]
        rows += numbered if len(seeds) > 1 else numbered[:1]
    return pl.DataFrame(rows, schema=COLUMNS)


def _estimates(judged: Mapping[Key, Sequence[Judged]]) -> Iterator[tuple[dict[str, Any], list[_Estimator]]]:
    """For each row its keys, and one estimator per seed, which returns its value and replicates for given weights."""
    full = next(of_seeds for (group, _), of_seeds in judged.items() if group == ALL)
    for (group, size), pools in judged.items():
        for metric in METRICS:
            head = {"group": group, "baseline": None, "pool_size": size, "metric": metric}
            yield head, [partial(_estimate, metric, pool, of_all) for pool, of_all in zip(pools, full, strict=True)]
    for group, baseline in COMPARED:
        for size in sorted(size for name, size in judged if name == group):
            if (baseline, size) not in judged:
                continue
            trios = list(zip(judged[group, size], judged[baseline, size], full, strict=True))
            for metric in (*SHARES, "mean_score", "oracle"):
                head = {"group": group, "baseline": baseline, "pool_size": size, "metric": metric}
                yield head, [partial(_difference, metric, *trio) for trio in trios]


def incomplete_notes(rows: pl.DataFrame, judged: Mapping[Key, Sequence[Judged]]) -> list[str]:
    """Notes on missing test scores: choices without one, and instances that were left out."""
    shares = rows.filter(pl.col("seed").is_null(), metric="unobserved_choice")
    notes = unobserved_notes(dict(shares.group_by("group", maintain_order=True).agg(pl.col("value").max()).iter_rows()))
    left_out: dict[str, float] = {}
    for (group, _), of_seeds in judged.items():
        share = max(float(np.isnan(of.best).mean()) for of in of_seeds)
        left_out[group] = max(share, left_out.get(group, 0.0))
    if largest := ", ".join(f"{group} up to {share:.1%}" for group, share in left_out.items() if share > 0):
        notes.append(f"test instances with no score for any LLM of a pool are left out of its means: {largest}")
    return notes


def difference(pool: Judged, other: Judged, instance_ids: NDArray[np.str_], seed: int) -> tuple[float, float, float]:
    """Paired difference in mean score, `pool` minus `other`, and its 95% interval, where both have a score."""
    weights = Bootstrap([instance_ids], seed).weights(0, instance_ids).astype(np.float64)
    value, replicates = _difference("mean_score", pool, other, pool, weights)
    return value, *interval_around(value, replicates, len(instance_ids))


def _difference(metric: str, pool: Judged, other: Judged, full: Judged, weights: Array) -> tuple[float, Array]:
    left, right = (_estimate(metric, a, full, weights, b) for a, b in ((pool, other), (other, pool)))
    return left[0] - right[0], left[1] - right[1]


def _estimate(
    metric: str, pool: Judged, full: Judged, weights: Array, paired: Judged | None = None
) -> tuple[float, Array]:
    """Value of a metric and its bootstrap replicates, f64 (b,).

    `weights` f64 (b, n) count how often each replicate drew each instance. Instances for which `paired` has no value
    are left out.
    """
    name, is_share = METRICS[metric]
    above = getattr(pool, name)
    below = getattr(full, name) if is_share else np.ones(len(above))
    known = ~np.isnan(above) & ~np.isnan(below)
    if paired is not None:
        known &= ~np.isnan(getattr(paired, name))
    above, below = above[known], below[known]
    drawn = weights[:, known]
    return float(ratio(above.sum(), below.sum())), ratio(drawn @ above, drawn @ below)
