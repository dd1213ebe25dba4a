"""Plots of curves in a terminal, with a letter for each curve."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from rich.text import Text

from recroute.report.curves import Curve

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
GREY = "bright_black"
LABEL_WIDTH = 7


class Canvas:
    """A grid of characters that spans the smallest to the largest x and y.

    Parameters
    ----------
    xs, ys : iterable of float
        All values that must fit.
    logarithmic : bool
        Whether the x axis is logarithmic.
    width, height : int
        Columns and lines of the plot without its legend; at least 40 and 6 are used.
    margin : int
        Columns kept free at both ends.
    """

    def __init__(
        self, xs: Iterable[float], ys: Iterable[float], *, logarithmic: bool, width: int, height: int, margin: int = 0
    ) -> None:
        xs, ys = list(xs), list(ys)
        self.width = max(width, 40)
        self.n_columns, self.n_lines, self._margin = self.width - LABEL_WIDTH - 2, max(height, 6), margin
        self._scale = math.log if logarithmic else float
        self.left, self.right, self._low, self._high = min(xs), max(xs), min(ys), max(ys)
        if self._high - self._low < 1e-9:
            self._low, self._high = self._low - 0.05, self._high + 0.05
        self._grid = [[(" ", "")] * self.n_columns for _ in range(self.n_lines)]

    def column(self, x: float) -> int:
        steps = self.n_columns - 1 - 2 * self._margin
        return _place(self._scale(x), self._scale(self.left), self._scale(self.right), steps) + self._margin

    def line(self, y: float) -> int:
        return self.n_lines - 1 - _place(y, self._low, self._high, self.n_lines - 1)

    def mark(self, x: float, y: float, sign: str, style: str) -> None:
        self._grid[self.line(y)][self.column(x)] = (sign, style)

    def dot(self, column: int, line: int, style: str) -> None:
        """Draw a dot unless the cell is taken."""
        if self._grid[line][column][0] in " ·":
            self._grid[line][column] = ("·", style)

    def join(self, start: tuple[float, float], end: tuple[float, float], style: str) -> None:
        """Draw dots between two points."""
        (x0, y0), (x1, y1) = ((self.column(x), self.line(y)) for x, y in (start, end))
        for x in range(x0 + 1, x1):
            self.dot(x, round(y0 + (y1 - y0) * (x - x0) / (x1 - x0)), style)

    def text(self, title: str, x_label: str, ticks: Sequence[float], legend: Iterable[tuple[str, str]]) -> Text:
        """The plot as a Rich text, with `ticks` and the legend, entries (text, style), below it."""
        plot = Text(f"{title}\n", style="bold", no_wrap=True)
        for i, line in enumerate(self._grid):
            shown = i % 4 == 0 or i == self.n_lines - 1
            value = self._high - (self._high - self._low) * i / (self.n_lines - 1)
            plot.append(f"{value:{LABEL_WIDTH}.3f} │" if shown else f"{' ' * LABEL_WIDTH} │", style="not bold dim")
            for sign, style in line:
                plot.append(sign, style=style if style.startswith("bold") else f"not bold {style}")
            plot.append("\n")
        margin = " " * LABEL_WIDTH
        plot.append(
            f"{margin} └{'─' * self.n_columns}\n{margin}  {self._labels(ticks)}\n{margin}  {x_label}\n",
            style="not bold dim",
        )
        used = 0
        for entry, style in legend:
            if used + len(entry) > self.width:
                plot.append("\n")
                used = 0
            plot.append(entry, style=f"not bold {style}")
            used += len(entry)
        return plot

    def _labels(self, ticks: Sequence[float]) -> str:
        """Labels of the x axis; a label that would overlap its neighbour is left out."""
        labels, free_from = [" "] * self.n_columns, 0
        for tick in ticks:
            text = f"{tick:.4g}" if isinstance(tick, float) else str(tick)
            at = min(max(self.column(tick) - len(text) // 2, 0), self.n_columns - len(text))
            if at >= free_from:
                labels[at : at + len(text)] = text
                free_from = at + len(text) + 1
        return "".join(labels)


def styles(curves: Sequence[Curve]) -> dict[str, str]:
    """Colour of each curve, by name."""
    coloured = [curve.name for curve in curves if not curve.soft]
    return {curve.name: GREY if curve.soft else COLOURS[coloured.index(curve.name) % len(COLOURS)] for curve in curves}


def curves_text(curves: Sequence[Curve], *, title: str, x_label: str, width: int = 96, height: int = 18) -> Text:
    """Plot values against sizes on a logarithmic axis, as a Rich text for a terminal."""
    sizes = sorted({size for curve in curves for size, *_ in curve.points})
    values = [value for curve in curves for _, value, *_ in curve.points]
    canvas = Canvas(sizes, values, logarithmic=True, width=width, height=height, margin=1)
    style = styles(curves)
    marked = list(zip(curves, MARKS, strict=False))
    for curve, mark in reversed(marked):  # the first router is drawn on top
        points = [(size, value) for size, value, *_ in curve.points]
        for start, end in pairwise(points):
            canvas.join(start, end, style[curve.name])
        for x, y in points:
            canvas.mark(x, y, mark, f"bold {style[curve.name]}")
    legend = [(f"  {mark} {curve.name}", style[curve.name]) for curve, mark in marked]
    return canvas.text(title, f"{x_label} (log scale)", sizes, legend)


def _place(value: float, low: float, high: float, steps: int) -> int:
    return round((value - low) / (high - low) * steps) if high > low else steps // 2
