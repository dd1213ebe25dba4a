"""A frontier as a Matplotlib figure, and in the terminal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rich.text import Text

from recroute.evaluation import Frontier
from recroute.evaluation.frontier_rows import SINGLE
from recroute.report.frontier_curves import CostCurve, cost_curves, logarithmic, single_llms
from recroute.report.old_figures import new_axes
from recroute.report.old_plot import COLOURS, MARKERS, save_axes
from recroute.report.old_terminal_plot import COLOURS as TERMINAL_COLOURS
from recroute.report.old_terminal_plot import LABEL_WIDTH, MARKS, place

GREY_DASHES = {"oracle": "-", "best_single": "--", "zero": (0, (2, 1)), "task_best": (0, (6, 2))}
LLM_MARK = "+"
MOST_NAMES = 12  # of LLMs in a picture


def plot_frontier(found: Frontier, *, ax: Any = None, title: str | None = None) -> Any:
    """Score against cost of 1,000 prompts: each router's hull with its 95% band, single LLMs as points.

    Parameters
    ----------
    found : Frontier
    ax : matplotlib.axes.Axes, optional
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if ax is None:
        ax = new_axes(10.5, 5.4)
    data = found.info["dataset"]
    curves = cost_curves(found)
    routers = [curve.router for curve in curves if not curve.is_bound]
    if logarithmic(found):
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda cost, _: f"{cost:g}"))
        ax.xaxis.set_minor_formatter(NullFormatter())
    for curve in curves:
        _draw(ax, curve, routers.index(curve.router) if curve.router in routers else None)
    _draw_llms(ax, found)
    best = found.pooled("mean_score", SINGLE)[found.best_single]["value"]
    ax.axhline(best, color="0.3", lw=0.8, ls=":", label=f"best single LLM's quality, {best:.3f}")
    ax.set_xlabel(_plain(f"mean cost of 1,000 prompts, {found.unit}"))
    ax.set_ylabel("mean score (mu)")
    marked = "SIMULATED DATA: " if data["simulated"] else ""
    ax.set_title(_plain(title or f"{marked}what quality costs on {data['name']}"), loc="left")
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _draw(ax: Any, curve: CostCurve, position: int | None) -> None:
    cost, score = curve.dense()
    name = _plain(curve.router)
    if position is None:
        ax.plot(cost, score, color="0.45", lw=1.3, ls=GREY_DASHES.get(curve.router, "-."), label=name)
        return
    colour = COLOURS[position % len(COLOURS)]
    ax.plot(cost, score, color=colour, lw=2, label=name)
    ax.plot(curve.cost, curve.score, color=colour, marker=MARKERS[position % len(MARKERS)], ms=4, ls="")
    ax.fill_between(curve.cost, curve.low, curve.high, color=colour, alpha=0.12, lw=0)


def _draw_llms(ax: Any, found: Frontier) -> None:
    llms = single_llms(found)
    ax.plot(llms["mean_cost"], llms["mean_score"], color="0.2", marker="x", ms=5, ls="", label="single LLMs")
    named = llms.filter("on_hull").sort("mean_score", descending=True).unique("mean_cost", keep="first")
    rows = named.sort("mean_cost").head(MOST_NAMES).select("router", "mean_cost", "mean_score").iter_rows()
    for i, (name, cost, score) in enumerate(rows):
        short = name.rsplit("/", 1)[-1]
        last = cost == llms["mean_cost"].max()  # its name would run into the legend
        where: dict[str, Any] = {"xytext": (-4 if last else 4, -10 if i % 2 else 5), "textcoords": "offset points"}
        where |= {"ha": "right" if last else "left", "fontsize": 7, "color": "0.35"}
        ax.annotate(_plain(short), (cost, score), **where)


def save_frontier_png(found: Frontier, path: Path) -> None:
    """Write `plot_frontier` as a PNG file of 150 dpi, whole or not at all."""
    save_axes(plot_frontier(found), path)


def frontier_text(found: Frontier, *, width: int = 96, height: int = 18) -> Text:
    """The same in the terminal: a letter for each router's hull, + for single LLMs."""
    n_columns, n_lines = max(width, 40) - LABEL_WIDTH - 2, max(height, 6)
    curves, llms = cost_curves(found), single_llms(found)
    scale = math.log if logarithmic(found) else float
    costs = [*llms["mean_cost"], *(x for curve in curves for x in curve.cost)]
    scores = [*llms["mean_score"], *(y for curve in curves for y in curve.score)]
    left, right, low, high = min(costs), max(costs), min(scores), max(scores)

    def cell(cost: float, score: float) -> tuple[int, int]:
        x = place(scale(cost), scale(left), scale(right), n_columns - 1)
        return x, n_lines - 1 - place(score, low, high, n_lines - 1)

    grid: list[list[tuple[str, str]]] = [[(" ", "")] * n_columns for _ in range(n_lines)]
    for cost, score in llms.select("mean_cost", "mean_score").iter_rows():
        x, y = cell(cost, score)
        grid[y][x] = (LLM_MARK, "bright_black")
    coloured = [curve.router for curve in curves if not curve.is_bound]
    legend = Text(no_wrap=False)
    for curve, mark in reversed(list(zip(curves, MARKS, strict=False))):  # the first router is drawn on top
        style = "bright_black"
        if curve.router in coloured:
            style = TERMINAL_COLOURS[coloured.index(curve.router) % len(TERMINAL_COLOURS)]
        for x, y in (cell(x, y) for x, y in zip(*curve.dense(2 * n_columns), strict=True)):
            if grid[y][x][0] in " ·":
                grid[y][x] = ("·", style)
        for x, y in (cell(x, y) for x, y in zip(curve.cost, curve.score, strict=True)):
            grid[y][x] = (mark, f"bold {style}")
        legend = Text.assemble((f"  {mark} {curve.router}", style), legend)
    plot = Text(f"mean score against mean cost of 1,000 prompts ({found.unit})\n", style="bold", no_wrap=True)
    for i, line in enumerate(grid):
        shown = i % 4 == 0 or i == n_lines - 1
        tick = f"{high - (high - low) * i / (n_lines - 1):{LABEL_WIDTH}.3f}" if shown else " " * LABEL_WIDTH
        plot.append(f"{tick} │", style="not bold dim")
        for sign, style in line:
            plot.append(sign, style=style if "bold" in style else f"not bold {style}")
        plot.append("\n")
    margin = " " * LABEL_WIDTH
    ends = f"{left:.4g}{f'{right:.4g}':>{n_columns - len(f'{left:.4g}')}}"
    log = ", log scale" if logarithmic(found) else ""
    plot.append(f"{margin} └{'─' * n_columns}\n{margin}  {ends}\n{margin}  cost{log}\n", style="not bold dim")
    legend.append(f"  {LLM_MARK} single LLMs", style="bright_black")
    return Text.assemble(plot, legend)


def _plain(text: str) -> str:
    """Without Matplotlib's mathematics: a dollar sign in a name is a dollar sign."""
    return text.replace("$", r"\$")
