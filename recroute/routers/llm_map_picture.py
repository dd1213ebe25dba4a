"""A map of LLMs as a Matplotlib figure: points in the plane of two factors, what each factor tells at its axis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from recroute.errors import RouterError, UnknownNameError
from recroute.report.figure import COLOURS, MARKERS, new_axes, plain
from recroute.util.numeric import Array

LLMMap = Any  # `recroute.routers.llm_map.LLMMap`, whose file imports this one

COLOURED_BY = ("family", "mean_score")
MOST_FAMILIES = 6
LONGEST = 28  # letters of an LLM's name on the map
GREY = "0.65"


def draw_map(found: LLMMap, axes: tuple[int, int], colour: str | None, n_labels: int, ax: Any, title: str) -> Any:
    """As `LLMMap.plot`."""
    k = len(found.share)
    if not all(1 <= axis <= k for axis in axes):
        raise RouterError(f"{found.router} has {k} factors; {axes[0]} and {axes[1]} cannot be drawn")
    colour = colour or ("mean_score" if found.families is None else "family")
    if colour not in COLOURED_BY:
        raise UnknownNameError("colour", colour, COLOURED_BY)
    points = found.position[:, [axis - 1 for axis in axes]]
    if ax is None:
        ax = new_axes(9, 6.2)
    ax.axhline(0, color="0.85", lw=0.8, zorder=0)
    ax.axvline(0, color="0.85", lw=0.8, zorder=0)
    (_draw_families if colour == "family" else _draw_means)(ax, found, points)
    ax.set_xlabel(_axis(found, axes[0]))
    ax.set_ylabel(_axis(found, axes[1]))
    ax.set_title(plain(title), loc="left")
    ax.spines[["top", "right"]].set_visible(False)
    ax.margins(0.08)
    _label(ax, found, points, n_labels)
    return ax


def _draw_families(ax: Any, found: LLMMap, points: Array) -> None:
    if found.families is None:
        raise RouterError("no family is known of these LLMs; name a data set that has them: llm_map(router, dataset)")
    families = np.array(found.families)
    names = _largest(found.families)
    for i, name in enumerate(names):
        own = points[families == name]
        ax.plot(*own.T, ls="", marker=MARKERS[i], ms=6, color=COLOURS[i], alpha=0.85, label=plain(name))
    if (other := ~np.isin(families, names)).any():
        ax.plot(*points[other].T, ls="", marker=".", ms=6, color=GREY, zorder=1, label="other families")
    ax.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _largest(families: list[str]) -> list[str]:
    """The largest families, largest first, by name among equals."""
    counts = Counter(name for name in families if name)
    return sorted(counts, key=lambda name: (-counts[name], name))[:MOST_FAMILIES]


def _draw_means(ax: Any, found: LLMMap, points: Array) -> None:
    drawn = ax.scatter(*points.T, c=found.mean_score, cmap="viridis", s=30, alpha=0.9)
    ax.figure.colorbar(drawn, ax=ax, label="mean score on training prompts", shrink=0.8)


def _axis(found: LLMMap, factor: int) -> str:
    told = f"factor {factor}: {found.share[factor - 1]:.0%} of how LLMs differ beside their means"
    tasks = found.ends(1).filter(factor=factor, kind="task")
    ends = dict(tasks.select("end", "name").iter_rows())
    if len(ends) < 2:
        return told
    of_task = f"tasks explain {found.task_share[factor - 1]:.0%} of it"
    return plain(f"{told}\n← {ends['-']}      ({of_task})      {ends['+']} →")


def _label(ax: Any, found: LLMMap, points: Array, n_labels: int) -> None:
    """Names of LLMs that stand out, each where it hides neither another name nor a point."""
    figure = ax.figure
    figure.draw_without_rendering()  # now it is known where everything stands
    frame = ax.get_window_extent()
    dots = ax.transData.transform(points)
    spread = np.abs(points) / np.maximum(np.abs(points).max(axis=0), 1e-300)
    taken: list[Any] = []
    for i in np.argsort(-spread.max(axis=1), kind="stable"):
        if len(taken) == n_labels:
            return
        others = np.delete(dots, i, axis=0)
        for where in _places(found.llm_ids.ids[i]):
            text = ax.annotate(xy=points[i], textcoords="offset points", fontsize=7.5, color="0.25", **where)
            box = text.get_window_extent().padded(1.5)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not any(box.overlaps(other) for other in taken) and not box.count_contains(others):
                taken.append(box)
                break
            text.remove()


def _places(name: str) -> Iterator[dict[str, Any]]:
    """Where a name may stand beside its point: right, left, above, below."""
    short = name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."
    text = plain(short)
    yield {"text": text, "xytext": (7, 0), "ha": "left", "va": "center"}
    yield {"text": text, "xytext": (-7, 0), "ha": "right", "va": "center"}
    yield {"text": text, "xytext": (0, 6), "ha": "center", "va": "bottom"}
    yield {"text": text, "xytext": (0, -6), "ha": "center", "va": "top"}
