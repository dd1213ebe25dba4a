"""RouterEval's published results of its baselines, for comparison with a run."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import Any

import polars as pl

from recroute.data import Dataset
from recroute.pools import ROUTEREVAL_GROUPS

SOURCE = "RouterEval, arXiv 2503.10657"
POOL_SIZE = 5
METRIC = "best_single_ratio"


@cache
def published_table() -> list[dict[str, str]]:
    """V_B of RouterEval's baselines at m = 5, averaged over its three groups.

    One entry for each baseline: `router`, its name in the paper; `here`, the label of the same router in recroute
    (empty if there is none); and its V_B by benchmark.
    """
    text = files("recroute.evaluation").joinpath("published_routereval.csv").read_text(encoding="utf8")
    return list(csv.DictReader(text.splitlines()))


def published_beside(dataset: Dataset, rows: pl.DataFrame) -> dict[str, Any] | None:
    """Published values that are comparable with a result, or None.

    They are comparable if the data are one of RouterEval's benchmarks (according to the `benchmark` column, because a
    task named math need not be its MATH), and the rows have the mean of exactly its three groups at m = 5.
    """
    if dataset.card.get("simulated") or "benchmark" not in dataset.instances.columns:
        return None
    names = set(dataset.instances["benchmark"])
    benchmark = names.pop() if len(names) == 1 else None
    if benchmark is None or benchmark not in published_table()[0]:
        return None
    at_size = rows.filter(pl.col("seed").is_null(), metric=METRIC, pool_size=POOL_SIZE)
    if set(at_size["group"]) != {*ROUTEREVAL_GROUPS, "mean"}:
        return None
    return {
        "source": SOURCE,
        "benchmark": benchmark,
        "metric": METRIC,
        "group": "mean",
        "pool_size": POOL_SIZE,
        "rows": [
            {"router": row["router"], "here": row["here"] or None, "value": float(row[benchmark])}
            for row in published_table()
        ],
    }
