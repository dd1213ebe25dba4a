"""What RouterEval published for its baselines, to stand beside our own numbers."""

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
    """V_B of RouterEval's baselines at m = 5, mean of its three groups.

    One entry for each: `router` as the paper calls it, `here` the label of the same router in recroute (empty if
    there is none), and its V_B by benchmark.
    """
    text = files("recroute.evaluation").joinpath("published_routereval.csv").read_text(encoding="utf8")
    return list(csv.DictReader(text.splitlines()))


def published_beside(dataset: Dataset, rows: pl.DataFrame) -> dict[str, Any] | None:
    """The published values that compare with a result, or None.

    They do where the data are one of RouterEval's benchmarks (by their `benchmark` column: a task that happens to be
    called math is not its MATH), and the rows hold the mean of its three groups, and of no other, at m = 5.
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
