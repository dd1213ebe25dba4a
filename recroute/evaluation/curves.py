"""Growth curves, for Matplotlib and the terminal: a metric of each router against the pool size."""

from __future__ import annotations

from typing import Any

import polars as pl

from recroute.data.schema import require_columns
from recroute.errors import DataError
from recroute.evaluation.tables import main_group, title_of
from recroute.experiment.compare import is_yardstick, router_name
from recroute.report.curves import Curve, draw_curves, draw_intervals
from recroute.util.arguments import checked

REFERENCE = "reference LLM"
DASHES: dict[str, Any] = {
    "oracle": "-",
    "task_best": (0, (6, 2)),
    "best_single": "--",
    "random": ":",
    "oracle_mix": "-.",
    "reference": (0, (9, 2, 2, 2)),
}
X_LABEL = "pool size m (candidate LLMs)"


@checked
def plot_growth(
    rows: pl.DataFrame,
    *,
    metric: str = "mean_score",
    group: str | None = None,
    ax: Any = None,
    title: str | None = None,
    x_label: str = X_LABEL,
) -> Any:
    """Plot a metric against the pool size: routers in colour with 95% bands, bounds and baselines in grey.

    With more than six routers the bands are omitted.

    Parameters
    ----------
    rows : polars.DataFrame
        `rows` of an Evaluation.
    metric : str
    group : str, optional
        Default: the mean over groups if there is one, otherwise the first group.
    ax : matplotlib.axes.Axes, optional
        Axes to draw on (default: a new figure).
    title, x_label : str, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        If there is nothing to draw.
    """
    require_columns(rows, ("router", "group", "pool_size", "seed", "metric", "value", "ci_low", "ci_high"), "rows")
    group, curves = growth_curves(rows, metric, group)
    title = title or f"Routing quality as the pool grows ({group})"
    return draw_curves(curves, title=title, x_label=x_label, y_label=title_of(metric), ax=ax)


def plot_intervals(
    rows: pl.DataFrame,
    *,
    metric: str = "mean_score",
    group: str | None = None,
    ax: Any = None,
    title: str | None = None,
) -> Any:
    """Plot a metric of every router on one pool with 95% intervals, best on top; parameters as in `plot_growth`."""
    group, curves = growth_curves(rows, metric, group)
    title = title or f"Routing quality ({group})"
    return draw_intervals(curves, title=title, x_label=title_of(metric), ax=ax)


def growth_text(rows: pl.DataFrame, metric: str, *, title: str = "", x_label: str = "pool size m") -> Any:
    """`plot_growth` for a terminal, as a Rich text; the default title names the metric and the group."""
    from recroute.report.terminal_plot import curves_text

    group, curves = growth_curves(rows, metric, None)
    return curves_text(curves, title=title or f"{title_of(metric)}, group {group}", x_label=x_label)


def growth_curves(rows: pl.DataFrame, metric: str, group: str | None) -> tuple[str, list[Curve]]:
    """Group and curves of a metric, from rows pooled over seeds; missing values are skipped.

    Raises DataError if there is nothing to draw.
    """
    pooled = rows.filter(pl.col("seed").is_null(), pl.col("pool_size").is_not_null())
    if pooled.is_empty():
        raise DataError("there is no curve to draw: no pool size was finished by every seed")
    group = group or main_group(pooled)
    values = pooled.filter(pl.col("value").is_not_null() & pl.col("value").is_not_nan(), metric=metric, group=group)
    if values.is_empty():
        raise DataError(f"there is no value of {metric!r} in group {group!r} to draw")
    curves = []
    for router in values["router"].unique(maintain_order=True):
        own = values.filter(router=router).sort("pool_size")
        curves.append(_curve(router, list(own.select("pool_size", "value", "ci_low", "ci_high").iter_rows())))
    if metric == "mean_score":
        curves += _reference(pooled.filter(group=group))
    return group, curves


def _curve(name: str, points: list[tuple[float, float, float, float]]) -> Curve:
    return Curve(name, points, soft=is_yardstick(name), dash=DASHES.get(router_name(name), "-"))


def _reference(pooled: pl.DataFrame) -> list[Curve]:
    """Score of the reference LLM, if there is one: mu / V_R, which is equal for all routers."""
    known = pl.col("value").is_not_null() & pl.col("value").is_not_nan() & (pl.col("value") > 0)
    ratios = pooled.filter(known, metric="reference_ratio").unique("pool_size", keep="first", maintain_order=True)
    scores = pooled.filter(metric="mean_score").select("router", "pool_size", pl.col("value").alias("mu"))
    both = ratios.join(scores, on=["router", "pool_size"]).sort("pool_size")
    points = [(size, mu / v, mu / v, mu / v) for size, mu, v in both.select("pool_size", "mu", "value").iter_rows()]
    return [_curve(REFERENCE, points)] if points else []
