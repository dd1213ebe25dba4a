"""Names beside the points of a Matplotlib plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from recroute.report.figure import plain
from recroute.util.numeric import Array

MAX_NAME_LENGTH = 28
PLACES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))  # right, left, above, below, corners
ALIGN = {1: ("left", "bottom"), -1: ("right", "top"), 0: ("center", "center")}


def name_points(ax: Any, names: Sequence[str], points: Array, *, most: int, avoid: Array) -> None:
    """Name at most `most` points, in this order, each where its name covers neither another name nor a point.

    A point without such a place is left without a name. The axes must be complete: their limits, labels and legend.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    names : sequence of str
    points : f64 (n, 2)
    most : int
    avoid : f64 (p, 2)
        All points that a name must not cover, those named included.
    """
    figure = ax.figure
    figure.draw_without_rendering()  # fixes the positions in pixels
    frame, dots = ax.get_window_extent(), ax.transData.transform(avoid)
    taken: list[Any] = []
    for name, point in zip(names, points, strict=True):
        if len(taken) == most:
            return
        others = dots[(dots != ax.transData.transform(point)).any(axis=1)]
        for where in _places(name):
            text = ax.annotate(xy=point, textcoords="offset points", fontsize=8, color="0.25", **where)
            box = text.get_window_extent().padded(1.5)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not any(box.overlaps(other) for other in taken) and not box.count_contains(others):
                taken.append(box)
                break
            text.remove()


def _places(name: str) -> Iterator[dict[str, Any]]:
    """Possible placements of a name: at the four sides of its point, then at the corners."""
    text = plain(name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 3]}...")
    for across, up in PLACES:
        look = {"ha": ALIGN[across][0], "va": ALIGN[up][1]}
        yield {"text": text, "xytext": (7 * across if not up else 5 * across, 6 * up), **look}
