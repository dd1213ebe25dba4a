"""Rows with intervals from values and bootstrap replicates: one pooled over seeds, and one for each seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from recroute.experiment.bootstrap import interval_around
from recroute.util.numeric import Array, known_mean

Ends = tuple[float, float]
COLUMNS = {  # of the rows of experiments on pools
    "router": pl.String,
    "group": pl.String,
    "pool_size": pl.Int64,
    "seed": pl.Int64,
    "metric": pl.String,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "n_instances": pl.Int64,
}


def row_of(
    head: Mapping[str, Any], value: float, replicates: Array, n: int, within: Ends | None = None
) -> dict[str, Any]:
    """Row of `head` and `value, ci_low, ci_high`.

    Parameters
    ----------
    head : mapping
    value : float
    replicates : f64 (b,)
    n : int
        Number of resampled units.
    within : (float, float), optional
        Range of the metric, to which the interval is clipped.
    """
    ends = interval_around(value, replicates, n)
    low, high = (float(end) for end in (np.clip(ends, *within) if within else ends))
    return {**head, "value": value, "ci_low": low, "ci_high": high}


def rows_of_seeds(
    head: Mapping[str, Any],
    seeds: Sequence[int],
    values: Array,
    replicates: Array,
    *,
    pool: Callable[[Array, Array], Array],
    counts: Sequence[int],
    within: Ends | None = None,
) -> list[dict[str, Any]]:
    """Row pooled over seeds (`seed` null), followed by one row for each seed, see `row_of`.

    Parameters
    ----------
    head : mapping
    seeds : list of int
    values : f64 (n_seeds,)
    replicates : f64 (n_seeds, b)
    pool : callable
        See `Bootstrap.pool`.
    counts : list of int
        Number of resampled units of all seeds together, then of each seed.
    within : (float, float), optional
    """
    mean = float(known_mean(values)[0])
    rows = [row_of({**head, "seed": None}, mean, pool(values, replicates), counts[0], within)]
    for seed, value, drawn, n in zip(seeds, values, replicates, counts[1:], strict=True):
        rows.append(row_of({**head, "seed": seed}, float(value), drawn, n, within))
    return rows
