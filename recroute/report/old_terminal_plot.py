"""A growth curve in the terminal."""

from __future__ import annotations

import math
from itertools import pairwise

import polars as pl
from rich.text import Text

from recroute.report.old_curves import Curve, growth_curves
from recroute.report.table import TITLES

MARKS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
COLOURS = (
    "bright_blue",
    "bright_yellow",
    "bright_green",
    "bright_magenta",
    "bright_cyan",
    "orange3",
    "bright_red",
)
LABEL_WIDTH = 7


def growth_plot(
    rows: pl.DataFrame,
    *,
    metric: str = "mean_score",
    group: str | None = None,
    width: int = 96,
    height: int = 18,
    x_label: str = "pool size m",
) -> Text:
    """A metric against the pool size, one letter for each router.

    Parameters
    ----------
    rows : polars.DataFrame
        Rows of an Evaluation.
    metric : str
    group : str, optional
        Default: the mean over groups, or the first group.
    width, height : int
        Columns and lines of the whole plot without the legend; at least 40 and 6 are used.
    x_label : str

    Raises
    ------
    DataError
        If there is nothing to draw.
    """
    group, curves = growth_curves(rows, metric, group)
    n_columns, n_lines = max(width, 40) - LABEL_WIDTH - 2, max(height, 6)
    sizes = sorted({size for curve in curves for size, *_ in curve.points})
    values = [value for curve in curves for _, value, *_ in curve.points]
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 0.05, high + 0.05
    column = {size: place(math.log(size), math.log(sizes[0]), math.log(sizes[-1]), n_columns - 3) + 1 for size in sizes}
    grid: list[list[tuple[str, str]]] = [[(" ", "")] * n_columns for _ in range(n_lines)]
    styles = _styles(curves)
    for curve, mark in reversed(list(zip(curves, MARKS, strict=False))):  # the first router is drawn on top
        points = [
            (column[size], n_lines - 1 - place(value, low, high, n_lines - 1)) for size, value, *_ in curve.points
        ]
        for start, end in pairwise(points):
            _line(grid, start, end, styles[curve.router])
        for x, y in points:
            grid[y][x] = (mark, f"bold {styles[curve.router]}")
    plot = Text(f"{TITLES.get(metric, metric)}, group {group}\n", style="bold", no_wrap=True)
    for i, line in enumerate(grid):
        tick = (
            f"{high - (high - low) * i / (n_lines - 1):{LABEL_WIDTH}.3f}"
            if i % 4 == 0 or i == n_lines - 1
            else " " * LABEL_WIDTH
        )
        plot.append(f"{tick} │", style="not bold dim")
        for sign, style in line:
            plot.append(sign, style=f"not bold {style}" if sign == "·" else style)
        plot.append("\n")
    plot.append(_x_axis(column, n_columns, x_label), style="not bold dim")
    used = 0
    for curve, mark in zip(curves, MARKS, strict=False):
        entry = f"  {mark} {curve.router}"
        if used + len(entry) > max(width, 40):
            plot.append("\n")
            used = 0
        plot.append(entry, style=f"not bold {styles[curve.router]}")
        used += len(entry)
    return plot


def _styles(curves: list[Curve]) -> dict[str, str]:
    routers = [curve.router for curve in curves if not curve.is_bound]
    coloured = {router: COLOURS[i % len(COLOURS)] for i, router in enumerate(routers)}
    return {curve.router: coloured.get(curve.router, "bright_black") for curve in curves}


def place(value: float, low: float, high: float, steps: int) -> int:
    return round((value - low) / (high - low) * steps) if high > low else steps // 2


def _line(grid: list[list[tuple[str, str]]], start: tuple[int, int], end: tuple[int, int], style: str) -> None:
    (x0, y0), (x1, y1) = start, end
    for x in range(x0 + 1, x1):
        y = round(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
        if grid[y][x][0] in " ·":
            grid[y][x] = ("·", style)


def _x_axis(column: dict[int, int], n_columns: int, label: str) -> str:
    """Axis and pool sizes; a size that would run into its neighbour's label is left out."""
    labels = [" "] * n_columns
    free_from = 0
    for size, x in column.items():
        text = str(size)
        at = min(max(x - len(text) // 2, 0), n_columns - len(text))
        if at >= free_from:
            labels[at : at + len(text)] = text
            free_from = at + len(text) + 1
    margin = " " * LABEL_WIDTH
    return f"{margin} └{'─' * n_columns}\n{margin}  {''.join(labels)}\n{margin}  {label} (log scale)\n"
