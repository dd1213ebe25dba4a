"""Matplotlib figures of a search: history and importances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from recroute.report.figure import MARKERS, colour, new_axes, plain, tidy
from recroute.report.reading import Reading


def draw_history(trials: pl.DataFrame, *, maximize: bool, ax: Any = None) -> Any:
    """Plot the value of each trial that was judged on all folds, by router, and the best value so far.

    Crosses at the bottom mark trials that were stopped early and have no value.
    """
    from matplotlib.ticker import MaxNLocator

    ax = new_axes(8.5, 4.4) if ax is None else ax
    done = trials.filter(state="complete")
    for i, ((router,), rows) in enumerate(done.group_by("router", maintain_order=True)):
        look = {"color": colour(i), "marker": MARKERS[i % len(MARKERS)], "ls": "", "ms": 6}
        (points,) = ax.plot(rows["number"], rows["value"], label=plain(str(router)) or "completed", **look)
        points.reading = Reading(rows["pipeline"].to_list())
    stopped = trials.filter(state="pruned")
    if stopped.height:
        bottom = np.zeros(stopped.height)  # in axes coordinates
        look = {"color": "0.6", "marker": "x", "ls": "", "ms": 5, "clip_on": False}
        ax.plot(stopped["number"], bottom, label="stopped early", transform=ax.get_xaxis_transform(), **look)
    if done.height:
        best = done["value"].cum_max() if maximize else done["value"].cum_min()
        ax.step(done["number"], best, where="post", color="0.2", lw=1.2, label="best so far")
        values = done["value"].to_list()
        spread = max(values) - min(values)
        ax.set_ylim(min(values) - 0.15 * spread - 1e-6, max(values) + 0.1 * spread + 1e-6)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("trial")
    ax.set_ylabel("value on validation (mean of folds)")
    tidy(ax)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8.5)
    return ax


def draw_importances(importances: Mapping[str, Mapping[str, float]], *, ax: Any = None) -> Any:
    """Plot shares of the variance between trials as bars, for all routers and for each router with enough trials."""
    groups = list(importances)
    bars = [
        (i, group, name, share)
        for i, group in enumerate(groups)
        for name, share in sorted(importances[group].items(), key=lambda item: -item[1])
    ]
    ax = new_axes(8.5, 0.9 + 0.26 * len(bars)) if ax is None else ax
    heights = [-(place + 0.6 * i) for place, (i, *_) in enumerate(bars)]
    ax.barh(heights, [share for *_, share in bars], color=[colour(i) for i, *_ in bars], height=0.75)
    ax.set_yticks(heights, [plain(f"{group}: {name}") for _, group, name, _ in bars], fontsize=8.5)
    for height, (*_, share) in zip(heights, bars, strict=True):
        ax.text(share + 0.01, height, f"{share:.0%}", va="center", fontsize=8)
    ax.set_xlim(0, 1.08)
    ax.set_xlabel("share of the variance of the value")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
