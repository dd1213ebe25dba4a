"""Matplotlib figure of an LLM map: LLMs in the plane of two factors, with the meaning of each factor at its axis."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from recroute.errors import RouterError, UnknownNameError
from recroute.report.figure import COLOURS, MARKERS, new_axes, plain
from recroute.report.labels import name_points
from recroute.report.reading import Reading
from recroute.util.numeric import Array

LLMMap = Any  # recroute.routers.llm_map.LLMMap, which cannot be imported because its module imports this one

COLOURED_BY = ("family", "mean_score")
MAX_FAMILIES = 6
GREY = "0.65"


def draw_map(found: LLMMap, axes: tuple[int, int], colour: str | None, n_labels: int, ax: Any, title: str) -> Any:
    """Draw the map; parameters and errors are those of `LLMMap.plot`."""
    k = len(found.share)
    if not all(1 <= axis <= k for axis in axes):
        raise RouterError(f"axes {axes[0]} and {axes[1]} do not fit: {found.router} has {k} factors, counted from 1")
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
    spread = np.abs(points) / np.maximum(np.abs(points).max(axis=0), 1e-300)
    outermost = np.argsort(-spread.max(axis=1), kind="stable")
    name_points(ax, [found.llm_ids.ids[i] for i in outermost], points[outermost], most=n_labels, avoid=points)
    return ax


def _draw_families(ax: Any, found: LLMMap, points: Array) -> None:
    if found.families is None:
        raise RouterError(
            "the families of these LLMs are unknown; pass a data set that has them: llm_map(router, dataset)"
        )
    families, ids = np.array(found.families), np.array(found.llm_ids.ids)
    names = _largest(found.families)
    for i, name in enumerate(names):
        own = families == name
        look = {"marker": MARKERS[i], "ms": 6, "color": COLOURS[i], "alpha": 0.85}
        (line,) = ax.plot(*points[own].T, ls="", label=plain(name), **look)
        line.reading = Reading(ids[own].tolist())
    if (other := ~np.isin(families, names)).any():
        (line,) = ax.plot(*points[other].T, ls="", marker=".", ms=6, color=GREY, zorder=1, label="other families")
        line.reading = Reading(ids[other].tolist())
    ax.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _largest(families: list[str]) -> list[str]:
    """Names of the largest families, largest first; ties in alphabetical order."""
    counts = Counter(name for name in families if name)
    return sorted(counts, key=lambda name: (-counts[name], name))[:MAX_FAMILIES]


def _draw_means(ax: Any, found: LLMMap, points: Array) -> None:
    drawn = ax.scatter(*points.T, c=found.mean_score, cmap="viridis", s=30, alpha=0.9)
    drawn.reading = Reading(list(found.llm_ids))
    ax.figure.colorbar(drawn, ax=ax, label="mean score on training prompts", shrink=0.8)


def _axis(found: LLMMap, factor: int) -> str:
    title = f"factor {factor}: {found.share[factor - 1]:.0%} of the LLMs' differences beyond their means"
    tasks = found.ends(1).filter(factor=factor, kind="task")
    ends = dict(tasks.select("end", "name").iter_rows())
    if len(ends) < 2:
        return title
    of_task = f"tasks explain {found.task_share[factor - 1]:.0%} of it"
    return plain(f"{title}\n← {ends['-']}      ({of_task})      {ends['+']} →")
