"""Matplotlib figures without pyplot, which notebooks display."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recroute.report.reading import Reading
from recroute.util.files import new_file

# Okabe and Ito's palette without yellow, which is hard to see on paper; curves also differ in markers and dashes.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = "osD^vPX*"
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (2, 1)), (0, (6, 1.5, 1.5, 1.5)))
SOFT = "0.45"  # grey for bounds and baselines


def new_axes(width: float, height: float) -> Any:
    """Axes of a new figure of this size in inches.

    pyplot is not used, because it keeps every figure until it is closed. A notebook displays the figure of axes that a
    cell ends with. In a script, use `axes.figure.savefig`, or pass axes made by pyplot as `ax=`.
    """
    return new_row(width, height, 1)[0]


def new_row(width: float, height: float, n: int) -> list[Any]:
    """Axes of n plots side by side in a new figure; a notebook displays the whole figure for each."""
    from recroute.report.mpl import ShownAxes, ShownFigure

    figure = ShownFigure(figsize=(width, height), layout="constrained")
    found: list[Any] = figure.subplots(1, n, squeeze=False, subplot_kw={"axes_class": ShownAxes})[0].tolist()
    return found


def save_axes(ax: Any, path: str | Path) -> None:
    """Write the figure of these axes atomically as a PNG file of 150 dpi."""
    with new_file(Path(path)) as temporary:
        ax.figure.savefig(temporary, dpi=150, format="png")


def plain(text: str) -> str:
    """Escape dollar signs, which Matplotlib would take for mathematics."""
    return text.replace("$", r"\$")


def tidy(ax: Any, *, grid: str = "y") -> None:
    """Apply the style of all plots: no box, a faint grid."""
    ax.grid(axis=grid, alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)


def colour(position: int) -> str:
    """Colour of the router at this position."""
    return COLOURS[position % len(COLOURS)]


def draw_band(
    ax: Any,
    rows: Any,
    x: str,
    position: int,
    *,
    label: str,
    dash: Any = "-",
    marker: str | None = None,
    band: bool = True,
) -> None:
    """Draw a curve of rows with `value, ci_low, ci_high` over the column `x`, with its band."""
    look = {"color": colour(position), "ls": dash, "marker": marker or MARKERS[position % len(MARKERS)]}
    (line,) = ax.plot(rows[x], rows["value"], ms=4, lw=1.8, label=label, **look)
    line.reading = Reading(ends=(rows["ci_low"].to_list(), rows["ci_high"].to_list()), band=band)
    if band:
        ax.fill_between(rows[x], rows["ci_low"], rows["ci_high"], color=colour(position), alpha=0.13, lw=0)
