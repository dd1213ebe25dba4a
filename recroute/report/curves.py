"""Matplotlib plots of curves over sizes: routers in colour, bounds and baselines in grey, labels at the ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recroute.report.figure import DASHES, MARKERS, SOFT, colour, new_axes, plain, tidy
from recroute.report.reading import Reading

LEADER = {"arrowstyle": "-", "lw": 0.5, "alpha": 0.6, "shrinkA": 0, "relpos": (0, 0.5)}
MAX_BANDS = 6  # more overlapping bands are not readable
LINE = 0.165  # inches between two labels


@dataclass(frozen=True)
class Curve:
    """A curve: points (size, value, ci_low, ci_high) by increasing size. A soft curve is grey, with dashes `dash`."""

    name: str
    points: Sequence[tuple[float, float, float, float]]
    soft: bool = False
    dash: Any = "-"


def draw_curves(curves: Sequence[Curve], *, title: str, x_label: str, y_label: str, ax: Any = None) -> Any:
    """Draw values against sizes on a logarithmic axis, without bands for more than six routers. Returns the axes."""
    if ax is None:
        # high enough for the labels at the right end
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
    """Draw the last point of each curve with its interval, the best on top. Returns the axes."""
    curves = sorted(curves, key=lambda curve: curve.points[-1][1])
    if ax is None:
        ax = new_axes(8, 1.1 + 0.27 * len(curves))
    for height, curve in enumerate(curves):
        _, value, low, high = curve.points[-1]
        of = SOFT if curve.soft else colour(0)
        ax.plot([low, high], [height, height], color=of, lw=2)
        sign = "D" if curve.soft else "o"
        (point,) = ax.plot([value], [height], color=of, marker=sign, ms=6, ls="", label=plain(curve.name))
        point.reading = Reading(ends=([low], [high]), across=True)
    ax.set_ylim(-0.6, len(curves) - 0.4)
    ax.set_yticks(range(len(curves)), [plain(curve.name) for curve in curves])
    ax.set_xlabel(x_label)
    ax.set_title(plain(title), loc="left")
    tidy(ax, grid="x")
    return ax


def _draw(ax: Any, curve: Curve, coloured: Sequence[str]) -> None:
    size, value, low, high = zip(*curve.points, strict=True)
    name = plain(curve.name)
    if curve.soft:
        (line,) = ax.plot(size, value, color=SOFT, lw=1.2, ls=curve.dash, label=name)
        line.reading = Reading(ends=(low, high))
        return
    position, band = coloured.index(curve.name), len(coloured) <= MAX_BANDS
    if band:
        ax.fill_between(size, low, high, color=colour(position), alpha=0.13, lw=0)
    look = {"marker": MARKERS[position % len(MARKERS)], "ls": DASHES[position // MAX_BANDS % len(DASHES)]}
    (line,) = ax.plot(size, value, color=colour(position), lw=2, ms=5, label=name, **look)
    line.reading = Reading(ends=(low, high), band=band)


def _label_ends(ax: Any, curves: Sequence[Curve], coloured: Sequence[str]) -> None:
    """Label the curves at their right ends; labels are moved apart if they would overlap."""
    low, high = ax.get_ylim()
    gap = (high - low) * LINE / (ax.figure.get_figheight() - 0.9)
    ends = sorted(((curve.points[-1][1], curve) for curve in curves), key=lambda end: end[0])
    heights = [value for value, _ in ends]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    if heights[-1] > high:  # above the axes: move the labels down
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
