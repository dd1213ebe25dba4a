"""Curves over sizes, as a Matplotlib figure: routers in colour, bounds and baselines in grey, names at the ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recroute.report.figure import DASHES, MARKERS, SOFT, colour, new_axes, plain, tidy

LEADER = {"arrowstyle": "-", "lw": 0.5, "alpha": 0.6, "shrinkA": 0, "relpos": (0, 0.5)}
MOST_BANDS = 6  # more of them on top of each other tell nothing
LINE = 0.165  # inches between two labels


@dataclass(frozen=True)
class Curve:
    """Points by rising size: size, value, low and high end of the interval. A soft one is grey, in its own dashes."""

    name: str
    points: Sequence[tuple[float, float, float, float]]
    soft: bool = False
    dash: Any = "-"


def draw_curves(curves: Sequence[Curve], *, title: str, x_label: str, y_label: str, ax: Any = None) -> Any:
    """Values against sizes on a logarithmic axis; beyond six routers bands are left out. Returns the axes."""
    if ax is None:
        # As high as the names at the right end need.
        ax = new_axes(8.5, max(4.8, LINE * len(curves) + 1))
    coloured = [curve.name for curve in curves if not curve.soft]
    for curve in curves:
        _draw(ax, curve, coloured)
    sizes = sorted({size for curve in curves for size, *_ in curve.points})
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
    ax.minorticks_off()
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    ax.set_title(plain(title), loc="left")
    tidy(ax)
    _label_ends(ax, curves, coloured)
    return ax


def draw_intervals(curves: Sequence[Curve], *, title: str, x_label: str, ax: Any = None) -> Any:
    """The last point of each curve with its interval, best on top. Returns the axes."""
    curves = sorted(curves, key=lambda curve: curve.points[-1][1])
    if ax is None:
        ax = new_axes(8, 1.1 + 0.27 * len(curves))
    for height, curve in enumerate(curves):
        _, value, low, high = curve.points[-1]
        of = SOFT if curve.soft else colour(0)
        ax.plot([low, high], [height, height], color=of, lw=2)
        ax.plot([value], [height], color=of, marker="D" if curve.soft else "o", ms=6, ls="")
    ax.set_yticks(range(len(curves)), [plain(curve.name) for curve in curves])
    ax.set_xlabel(x_label)
    ax.set_title(plain(title), loc="left")
    tidy(ax, grid="x")
    return ax


def _draw(ax: Any, curve: Curve, coloured: Sequence[str]) -> None:
    size, value, low, high = zip(*curve.points, strict=True)
    if curve.soft:
        ax.plot(size, value, color=SOFT, lw=1.2, ls=curve.dash)
        return
    position = coloured.index(curve.name)
    if len(coloured) <= MOST_BANDS:
        ax.fill_between(size, low, high, color=colour(position), alpha=0.13, lw=0)
    look = {"marker": MARKERS[position % len(MARKERS)], "ls": DASHES[position // MOST_BANDS % len(DASHES)]}
    ax.plot(size, value, color=colour(position), lw=2, ms=5, **look)


def _label_ends(ax: Any, curves: Sequence[Curve], coloured: Sequence[str]) -> None:
    """Names at the right end of the curves, moved apart where they would overlap."""
    low, high = ax.get_ylim()
    gap = (high - low) * LINE / (ax.figure.get_figheight() - 0.9)
    ends = sorted(((curve.points[-1][1], curve) for curve in curves), key=lambda end: end[0])
    heights = [value for value, _ in ends]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    if heights[-1] > high:  # too many at the top: push the pile down again
        heights[-1] = high
        for i in range(len(heights) - 2, -1, -1):
            heights[i] = min(heights[i], heights[i + 1] - gap)
    for height, (value, curve) in zip(heights, ends, strict=True):
        of = SOFT if curve.soft else colour(coloured.index(curve.name))
        ax.annotate(
            plain(curve.name),
            xy=(curve.points[-1][0], value),
            xytext=(1.02, height),
            textcoords=ax.get_yaxis_transform(),
            va="center",
            fontsize=8.5,
            color=of,
            fontweight="normal" if curve.soft else "bold",
            arrowprops={"color": of, **LEADER},
            annotation_clip=False,
        )
