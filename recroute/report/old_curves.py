"""The points of a growth curve, for every kind of plot."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from recroute.errors import DataError
from recroute.experiment.compare import is_yardstick
from recroute.report.table import main_group

REFERENCE = "reference LLM"


@dataclass(frozen=True)
class Curve:
    """One router's points by rising pool size: size, value, low and high end of the interval."""

    router: str
    points: list[tuple[int, float, float, float]]

    @property
    def is_bound(self) -> bool:
        return is_yardstick(self.router)


def growth_curves(rows: pl.DataFrame, metric: str, group: str | None) -> tuple[str, list[Curve]]:
    """Group and curves of a metric, from pooled rows only; values that do not exist are left out.

    Raises DataError if there is nothing to draw.
    """
    pooled = rows.filter(pl.col("seed").is_null(), pl.col("pool_size").is_not_null())
    if pooled.is_empty():
        raise DataError("there is no curve to draw: no pool size was finished by every seed")
    group = group or main_group(pooled)
    found = pooled.filter(pl.col("value").is_not_null() & pl.col("value").is_not_nan(), metric=metric, group=group)
    if found.is_empty():
        raise DataError(f"there is no value of {metric!r} in group {group!r} to draw")
    curves = []
    for router in found["router"].unique(maintain_order=True):
        own = found.filter(router=router).sort("pool_size")
        curves.append(Curve(router, list(own.select("pool_size", "value", "ci_low", "ci_high").iter_rows())))
    if metric == "mean_score":
        curves += _reference(pooled.filter(group=group))
    return group, curves


def _reference(pooled: pl.DataFrame) -> list[Curve]:
    """The reference LLM's own score, where there is one: mu over V_R, the same whichever router it comes from."""
    known = pl.col("value").is_not_null() & pl.col("value").is_not_nan() & (pl.col("value") > 0)
    ratios = pooled.filter(known, metric="reference_ratio").unique("pool_size", keep="first", maintain_order=True)
    scores = pooled.filter(metric="mean_score").select("router", "pool_size", pl.col("value").alias("mu"))
    both = ratios.join(scores, on=["router", "pool_size"]).sort("pool_size")
    points = [
        (size, mu / ratio, mu / ratio, mu / ratio)
        for size, mu, ratio in both.select("pool_size", "mu", "value").iter_rows()
    ]
    return [Curve(REFERENCE, points)] if points else []
