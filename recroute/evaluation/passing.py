"""The smallest pool size at which routers surpass the best single LLM or the reference."""

from __future__ import annotations

from typing import Any

import polars as pl

from recroute.evaluation.tables import main_group
from recroute.experiment.compare import is_bound

ON_TEST = "best single on test"
PASSED = {  # metric: what it compares with, and its value for a tie
    "lift": ("best single of train", 0.0),
    "best_single_ratio": (ON_TEST, 1.0),
    "reference_ratio": ("reference", 1.0),
}
PASS_COLUMNS = {
    "router": pl.String,
    "group": pl.String,
    "against": pl.String,
    "pool_size": pl.Int64,
    "value": pl.Float64,
    "ci_low": pl.Float64,
    "pool_size_clear": pl.Int64,
}


def passes(rows: pl.DataFrame, group: str | None = None) -> pl.DataFrame:
    """Implementation of `Evaluation.passes`."""
    pooled = rows.filter(pl.col("seed").is_null(), pl.col("pool_size").is_not_null())
    group = group or main_group(pooled)
    found = []
    for metric, (against, limit) in PASSED.items():
        curves = pooled.filter(group=group, metric=metric).sort("pool_size")
        for router in curves["router"].unique(maintain_order=True):
            curve = curves.filter(router=router)
            first: dict[str, Any] = next(curve.filter(pl.col("value") > limit).iter_rows(named=True), {})
            clear = curve.filter(pl.col("ci_low") > limit)["pool_size"].to_list()
            at = {name: first.get(name) for name in ("pool_size", "value", "ci_low")}
            head = {"router": router, "group": group, "against": against}
            found.append({**head, **at, "pool_size_clear": clear[0] if clear else None})
    return pl.DataFrame(found, schema=PASS_COLUMNS)


def passing(rows: pl.DataFrame) -> str:
    """Implementation of `Evaluation.passing`."""
    found = passes(rows).filter(against=ON_TEST)
    routers = [label for label in found["router"] if label != "best_single" and not is_bound(label)]
    found = found.filter(pl.col("router").is_in(routers)).sort("pool_size_clear", nulls_last=True, maintain_order=True)
    parts = []
    for (size,), own in found.group_by("pool_size_clear", maintain_order=True):
        where = "at no size" if size is None else f"from m = {size}"
        parts.append(f"{where}: {', '.join(own['router'])}")
    return f"whole interval above the best single LLM on test: {'; '.join(parts)}"
