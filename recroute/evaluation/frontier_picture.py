"""Cost-quality curves for Matplotlib and the terminal; costs are per 1,000 prompts."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from rich.text import Text

from recroute.evaluation.frontier_rows import GROUP, SINGLE, ZERO
from recroute.experiment.compare import is_yardstick
from recroute.metrics.cost import hull
from recroute.report.curves import Curve
from recroute.report.figure import MARKERS, SOFT, colour, new_axes, plain, tidy
from recroute.report.labels import name_points
from recroute.report.reading import Reading
from recroute.report.terminal_plot import GREY, MARKS, Canvas, styles
from recroute.routers.trade_off import PROMPTS
from recroute.util.numeric import Array

DASHES = {"oracle": "-", "best_single": "--", ZERO: (0, (2, 1)), "task_best": (0, (6, 2))}
LLM_MARK = "+"
MAX_NAMES = 12  # LLMs named in the figure


def cost_curves(points: pl.DataFrame) -> list[Curve]:
    """Hull points of each router by ascending cost, from `points` of a Frontier, in the order of the table."""
    rows = points.filter(pl.col("group") == GROUP, pl.col("on_hull")).with_columns(pl.col("mean_cost") * PROMPTS)
    curves = []
    for router in rows["router"].unique(maintain_order=True):
        own = rows.filter(router=router).unique(["mean_cost", "mean_score"], keep="first").sort("mean_cost")
        ends = list(own.select("mean_cost", "mean_score", "score_low", "score_high").iter_rows())
        soft = router == ZERO or is_yardstick(router)
        curves.append(Curve(router, ends, soft=soft, dash=DASHES.get(router, "-.") if soft else "-"))
    return curves


def single_llms(points: pl.DataFrame) -> pl.DataFrame:
    """Points of the single LLMs that were evaluated on test instances, by ascending cost.

    `on_hull` refers to the hull of these LLMs.
    """
    judged = pl.col("mean_cost").is_finite() & pl.col("mean_score").is_finite()
    rows = points.filter(pl.col("group") == SINGLE, judged).sort("mean_cost")
    cost, score = rows["mean_cost"].to_numpy(), rows["mean_score"].to_numpy()
    _, height = hull(cost[None], score[None])
    money = [pl.col(name) * PROMPTS for name in ("mean_cost", "cost_low", "cost_high")]
    return rows.with_columns(pl.Series("on_hull", score >= height[0] - 1e-12), *money)


def logarithmic(points: pl.DataFrame) -> bool:
    """Whether the cost axis can be logarithmic, because all costs are positive."""
    lowest = points["mean_cost"].min()
    return isinstance(lowest, float) and lowest > 0


def draw(points: pl.DataFrame, *, best: float, unit: str, title: str, ax: Any = None) -> Any:
    """Plot score against cost, see `Frontier.plot`; `best` is the mean score of the best single LLM."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if ax is None:
        ax = new_axes(10.5, 5.4)
    curves = cost_curves(points)
    routers = [curve.name for curve in curves if not curve.soft]
    if logarithmic(points):
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda cost, _: f"{cost:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    for curve in curves:
        _draw_curve(ax, curve, routers)
    llms = single_llms(points)
    _draw_llms(ax, llms)
    ax.axhline(best, color="0.3", lw=0.8, ls=":", label=f"best single LLM's quality, {best:.3f}")
    ax.set_xlabel(plain(f"mean cost of 1,000 prompts, {unit}"))
    ax.set_ylabel("mean score (mu)")
    ax.set_title(plain(title), loc="left")
    tidy(ax, grid="both")
    ax.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    _name_llms(ax, llms)
    return ax


def text(points: pl.DataFrame, unit: str, *, width: int = 96, height: int = 18) -> Text:
    """The plot for a terminal: a letter for each router's hull, + for single LLMs."""
    curves, llms, log = cost_curves(points), single_llms(points), logarithmic(points)
    costs = [*llms["mean_cost"], *(cost for curve in curves for cost, *_ in curve.points)]
    scores = [*llms["mean_score"], *(score for curve in curves for _, score, *_ in curve.points)]
    canvas = Canvas(costs, scores, logarithmic=log, width=width, height=height)
    for cost, score in llms.select("mean_cost", "mean_score").iter_rows():
        canvas.mark(cost, score, LLM_MARK, GREY)
    style = styles(curves)
    marked = list(zip(curves, MARKS, strict=False))
    for curve, mark in reversed(marked):  # the first router is drawn on top
        for cost, score in zip(*_dense(curve, 2 * canvas.n_columns), strict=True):
            canvas.dot(canvas.column(cost), canvas.line(score), style[curve.name])
        for cost, score, *_ in curve.points:
            canvas.mark(cost, score, mark, f"bold {style[curve.name]}")
    legend = [(f"  {mark} {curve.name}", style[curve.name]) for curve, mark in marked]
    legend.append((f"  {LLM_MARK} single LLMs", GREY))
    title = f"mean score against mean cost of 1,000 prompts ({unit})"
    return canvas.text(title, f"cost{', log scale' * log}", [canvas.left, canvas.right], legend)


def _dense(curve: Curve, n: int = 200) -> tuple[Array, Array]:
    """Costs and scores f64 (n,) along the curve, including mixtures between its points, evenly spaced on the axis."""
    cost, score = (np.array(values) for values in list(zip(*curve.points, strict=True))[:2])
    if len(cost) == 1:
        return cost, score
    space = np.geomspace if cost[0] > 0 else np.linspace
    x = np.union1d(space(cost[0], cost[-1], n), cost).clip(cost[0], cost[-1])
    return x, np.interp(x, cost, score)


def _draw_curve(ax: Any, curve: Curve, routers: list[str]) -> None:
    x, y = _dense(curve)
    cost, score, low, high = zip(*curve.points, strict=True)
    ends = np.interp(x, cost, low), np.interp(x, cost, high)
    if curve.soft:
        (line,) = ax.plot(x, y, color=SOFT, lw=1.3, ls=curve.dash, label=plain(curve.name))
        line.reading = Reading(ends=ends)
        return
    position = routers.index(curve.name)
    (line,) = ax.plot(x, y, color=colour(position), lw=2, label=plain(curve.name))
    line.reading = Reading(ends=ends, band=True)
    ax.plot(cost, score, color=colour(position), marker=MARKERS[position % len(MARKERS)], ms=4, ls="")
    ax.fill_between(cost, low, high, color=colour(position), alpha=0.12, lw=0)


def _draw_llms(ax: Any, llms: pl.DataFrame) -> None:
    """Draw a cross for each LLM."""
    (points,) = ax.plot(
        llms["mean_cost"], llms["mean_score"], color="0.2", marker="x", ms=5, ls="", label="single LLMs"
    )
    low, high = (llms[name].to_list() for name in ("score_low", "score_high"))
    points.reading = Reading(llms["router"].to_list(), (low, high))


def _name_llms(ax: Any, llms: pl.DataFrame) -> None:
    """Name the LLMs on the hull, the best first, where the names cover neither curves nor other LLMs."""
    named = llms.filter("on_hull").sort("mean_score", descending=True).unique("mean_cost", keep="first")
    named = named.sort("mean_score", descending=True)
    curves = np.vstack([line.get_xydata() for line in ax.lines if line.get_transform() == ax.transData])
    names = [name.rsplit("/", 1)[-1] for name in named["router"]]
    points = named.select("mean_cost", "mean_score").to_numpy()
    name_points(ax, names, points, most=MAX_NAMES, avoid=curves)
