"""Matplotlib figures of our own: they belong to no session of pyplot, and a notebook shows them nevertheless."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recroute.util.files import new_file

# Okabe and Ito's palette without yellow, which vanishes on paper; markers and dashes tell the curves apart too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = "osD^vPX*"
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (2, 1)), (0, (6, 1.5, 1.5, 1.5)))
SOFT = "0.45"  # the grey of bounds and baselines


def new_axes(width: float, height: float) -> Any:
    """Axes of a new figure, so large in inches.

    pyplot keeps every figure it makes until somebody closes it, so it is not asked. A notebook shows what a cell ends
    with: the axes show their figure. In a script there is `axes.figure.savefig`, or axes of pyplot's given as `ax=`.
    """
    return new_row(width, height, 1)[0]


def new_row(width: float, height: float, n: int) -> list[Any]:
    """The same for n pictures side by side; each shows the whole figure."""
    from recroute.report.mpl import ShownAxes, ShownFigure

    figure = ShownFigure(figsize=(width, height), layout="constrained")
    found: list[Any] = figure.subplots(1, n, squeeze=False, subplot_kw={"axes_class": ShownAxes})[0].tolist()
    return found


def save_axes(ax: Any, path: str | Path) -> None:
    """Write the figure of these axes as a PNG file of 150 dpi, whole or not at all."""
    with new_file(Path(path)) as temporary:
        ax.figure.savefig(temporary, dpi=150, format="png")


def plain(text: str) -> str:
    """Without Matplotlib's mathematics: a dollar sign in a name is a dollar sign."""
    return text.replace("$", r"\$")


def tidy(ax: Any, *, grid: str = "y") -> None:
    """The look of every picture: no box, a faint grid."""
    ax.grid(axis=grid, alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)


def colour(position: int) -> str:
    """The colour of the router at this position."""
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
    """A curve of rows with `value, ci_low, ci_high` over column `x`, and its band."""
    look = {"color": colour(position), "ls": dash, "marker": marker or MARKERS[position % len(MARKERS)]}
    ax.plot(rows[x], rows["value"], ms=4, lw=1.8, label=label, **look)
    if band:
        ax.fill_between(rows[x], rows["ci_low"], rows["ci_high"], color=colour(position), alpha=0.13, lw=0)
