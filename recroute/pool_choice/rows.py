"""From pools on test prompts to rows with intervals."""

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
GROUPS = {  # names of pools, in the order of tables and plots
    ROUTED: "chosen for routing",
    ORACLE: "chosen for the oracle",
    STRONG: "all_strong",
    RANDOM: "random",
    SINGLE: "best single LLM",
}
COMPARED = ((ROUTED, STRONG), (ORACLE, STRONG), (ROUTED, ORACLE), (ROUTED, RANDOM))
METRICS = {  # what is averaged, and whether it is a share of what all LLMs reach
    "mean_score": ("chosen", False),
    "oracle": ("best", False),
    "share_of_all": ("chosen", True),
    "oracle_share_of_all": ("best", True),
    "unobserved_choice": ("unobserved", False),
    "mean_cost": ("cost", False),
}
SHARES = {"share_of_all": "routed quality", "oracle_share_of_all": "oracle score"}
OF_ALL = {"share_of_all": "mean_score", "oracle_share_of_all": "oracle"}  # what they are shares of
BOUNDED = ("mean_score", "oracle", "oracle_share_of_all", "unobserved_choice")
Key = tuple[str, int]  # group, pool size
_Estimator = Callable[[Array], tuple[float, Array]]


def rows_of(
    judged: Mapping[Key, Sequence[Judged]], ids: Sequence[NDArray[np.str_]], seeds: Sequence[int], router: str
) -> pl.DataFrame:
    """Every metric of every pool, for each seed and pooled, and paired differences of shares.

    A share is over the test instances on which both the pool and all LLMs together have a score; a difference is over
    those on which both pools have one too. Intervals resample test instances, the same for all pools.

    Parameters
    ----------
    judged : dict of (group, pool size) to list of Judged, one for each seed
        With a group "all".
    ids : list of str (n,)
        Test instances of each seed.
    seeds : list of int
    router : str
    """
    bootstrap = Bootstrap(ids, seeds[0])
    weights = [bootstrap.weights(i, own).astype(np.float64) for i, own in enumerate(ids)]
    counts = [len(own) for own in ids]
    counts = [round(sum(counts) / len(counts)), *counts]
    rows: list[dict[str, Any]] = []
    for head, estimates in _estimates(judged):
        found = [estimate(weight) for estimate, weight in zip(estimates, weights, strict=True)]
        values, replicates = np.array([e[0] for e in found]), np.stack([e[1] for e in found])
        if np.isnan(values).all():
            continue
        within = (0, 1) if head["baseline"] is None and head["metric"] in BOUNDED else None
        told = rows_of_seeds(
            {"router": router, **head}, seeds, values, replicates, pool=bootstrap.pool, counts=counts, within=within
        )
        numbered = [{**row, "n_instances": n} for row, n in zip(told, counts, strict=True)]
        rows += numbered if len(seeds) > 1 else numbered[:1]
    return pl.DataFrame(rows, schema=COLUMNS)


def _estimates(seen: Mapping[Key, Sequence[Judged]]) -> Iterator[tuple[dict[str, Any], list[_Estimator]]]:
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


def incomplete_notes(rows: pl.DataFrame, judged: Mapping[Key, Sequence[Judged]]) -> list[str]:
    """What a reader of results on incomplete data has to know."""
    found = rows.filter(pl.col("seed").is_null(), metric="unobserved_choice")
    notes = unobserved_notes(dict(found.group_by("group", maintain_order=True).agg(pl.col("value").max()).iter_rows()))
    left_out: dict[str, float] = {}
    for (group, _), of_seeds in judged.items():
        share = max(float(np.isnan(of.best).mean()) for of in of_seeds)
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
    drawn = weights[:, known]
    return float(ratio(above.sum(), below.sum())), ratio(drawn @ above, drawn @ below)
