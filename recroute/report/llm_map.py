"""A map of LLMs as a Matplotlib figure and as a table of what its factors mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.errors import RouterError, UnknownNameError
from recroute.report.objects import SIMULATED
from recroute.report.old_figures import new_axes
from recroute.report.old_html_table import html_table
from recroute.report.old_plot import COLOURS, MARKERS
from recroute.routers.llm_map import LLMMap

COLOURED_BY = ("family", "mean_score")
MOST_FAMILIES = 6
MOST_LABELS = 16
LONGEST = 28  # letters of an LLM's name on the map
GREY = "0.65"


def plot_llm_map(
    found: LLMMap,
    *,
    axes: tuple[int, int] = (1, 2),
    colour: str | None = None,
    n_labels: int = MOST_LABELS,
    ax: Any = None,
    title: str | None = None,
) -> Any:
    """LLMs in the plane of two factors; what tasks are at the ends of each stands at its axis.

    Parameters
    ----------
    found : LLMMap
    axes : (int, int)
        The two factors; 1 is the first.
    colour : {"family", "mean_score"}, optional
        Default: the family where it is known. The six largest families have colours of their own.
    n_labels : int
        LLMs to name, at most: those furthest out, as far as there is room.
    ax : matplotlib.axes.Axes, optional
    title : str, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    RouterError
        If the router does not have these factors, or families are asked for and not known.
    """
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
    ax.set_title(_plain(title or f"{'SIMULATED DATA: ' * found.simulated}LLMs as {found.router} sees them"), loc="left")
    ax.spines[["top", "right"]].set_visible(False)
    ax.margins(0.08)
    _label(ax, found, points, n_labels)
    return ax


def _draw_families(ax: Any, found: LLMMap, points: NDArray[np.float64]) -> None:
    if found.families is None:
        raise RouterError("no family is known of these LLMs; name a data set that has them: llm_map(router, dataset)")
    families = np.array(found.families)
    names = _largest(found.families)
    for i, name in enumerate(names):
        own = points[families == name]
        ax.plot(*own.T, ls="", marker=MARKERS[i], ms=6, color=COLOURS[i], alpha=0.85, label=_plain(name))
    if (other := ~np.isin(families, names)).any():
        ax.plot(*points[other].T, ls="", marker=".", ms=6, color=GREY, zorder=1, label="other families")
    ax.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _largest(families: list[str]) -> list[str]:
    """The largest families, largest first, by name among equals."""
    counts = Counter(name for name in families if name)
    return sorted(counts, key=lambda name: (-counts[name], name))[:MOST_FAMILIES]


def _draw_means(ax: Any, found: LLMMap, points: NDArray[np.float64]) -> None:
    drawn = ax.scatter(*points.T, c=found.mean_score, cmap="viridis", s=30, alpha=0.9)
    ax.figure.colorbar(drawn, ax=ax, label="mean score on training prompts", shrink=0.8)


def _axis(found: LLMMap, factor: int) -> str:
    told = f"factor {factor}: {found.share[factor - 1]:.0%} of how LLMs differ beside their means"
    tasks = found.ends(1).filter(factor=factor, kind="task")
    ends = dict(tasks.select("end", "name").iter_rows())
    if len(ends) < 2:
        return told
    of_task = f"tasks explain {found.task_share[factor - 1]:.0%} of it"
    return _plain(f"{told}\n← {ends['-']}      ({of_task})      {ends['+']} →")


def _label(ax: Any, found: LLMMap, points: NDArray[np.float64], n_labels: int) -> None:
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
    text = _plain(short)
    yield {"text": text, "xytext": (7, 0), "ha": "left", "va": "center"}
    yield {"text": text, "xytext": (-7, 0), "ha": "right", "va": "center"}
    yield {"text": text, "xytext": (0, 6), "ha": "center", "va": "bottom"}
    yield {"text": text, "xytext": (0, -6), "ha": "center", "va": "top"}


def llm_map_notebook(found: LLMMap) -> str:
    """What a notebook shows: a row for each factor with the LLMs and tasks at its ends."""
    ends = found.ends()
    kinds = [kind for kind in ("LLM", "task") if kind in ends["kind"]]
    rows = []
    for factor, (share, of_task) in enumerate(zip(found.share, found.task_share, strict=True), 1):
        cells = [", ".join(ends.filter(factor=factor, end=end, kind=kind)["name"]) for end in "-+" for kind in kinds]
        rows.append([str(factor), f"{share:.0%}", *([f"{of_task:.0%}"] if "task" in kinds else []), *cells])
    sides = [f"{kind}s at the {end} end" for end in "-+" for kind in kinds]
    heads = ["factor", "of the LLMs' differences", *(["between tasks"] if "task" in kinds else []), *sides]
    told = f"{len(found.llm_ids):,} LLMs, compared on {found.instances.height:,} prompts"
    head = f"<p><b>Map of LLMs by {escape(found.router)}</b>: {told}</p>"
    marked = f"<p><b>{SIMULATED}</b></p>" if found.simulated else ""
    return "\n".join([head, marked, html_table(heads, rows, sortable=False)])


def _plain(text: str) -> str:
    """Without Matplotlib's mathematics: a dollar sign in a name is a dollar sign."""
    return text.replace("$", r"\$")
