"""What a search has found, as pictures and as one HTML file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import numpy as np
import polars as pl

from recroute.evaluation import Evaluation
from recroute.report.old_figures import new_axes
from recroute.report.old_html import evaluation_sections, html_list, notebook_html, page
from recroute.report.old_html_table import Number, html_table
from recroute.report.old_plot import COLOURS, MARKERS
from recroute.report.svg import inline_svg

OUTCOMES = {
    "complete": "judged on all folds",
    "pruned": "stopped early",
    "fail": "failed",
    "repeat": "repeated a pipeline tried before",
}
BEST_TRIALS = 5  # that a notebook shows
Shares = Mapping[str, Mapping[str, float]]


def plot_history(trials: pl.DataFrame, *, maximize: bool = True, ax: Any = None) -> Any:
    """Values by trial: one mark for each that was judged on all folds, by router, and the best so far.

    A trial that was stopped has no value to be shown at: small crosses at the bottom say when there was one.

    Parameters
    ----------
    trials : polars.DataFrame
        `Tuned.trials`.
    maximize : bool
        Whether more is better.
    ax : matplotlib.axes.Axes, optional
        Default: axes of a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    from matplotlib.ticker import MaxNLocator

    if ax is None:
        ax = new_axes(8.5, 4.4)
    done = trials.filter(state="complete")
    for i, (key, rows) in enumerate(done.group_by("router", maintain_order=True)):
        look = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)], "ls": "", "ms": 6}
        ax.plot(rows["number"], rows["value"], label=str(key[0]) or "completed", **look)
    pruned = trials.filter(state="pruned")
    if pruned.height:
        low = np.zeros(pruned.height)  # of the height of the axes
        look = {"color": "0.6", "marker": "x", "ls": "", "ms": 5, "clip_on": False}
        ax.plot(pruned["number"], low, label="stopped early", transform=ax.get_xaxis_transform(), **look)
    if done.height:
        best = done["value"].cum_max() if maximize else done["value"].cum_min()
        ax.step(done["number"], best, where="post", color="0.2", lw=1.2, label="best so far")
        shown = done["value"].to_list()
        spread = max(shown) - min(shown)
        ax.set_ylim(min(shown) - 0.15 * spread - 1e-6, max(shown) + 0.1 * spread + 1e-6)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("trial")
    ax.set_ylabel("value on validation (mean of folds)")
    ax.grid(axis="y", alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8.5)
    return ax


def plot_shares(shares: Shares, *, ax: Any = None) -> Any:
    """What the differences between trials come from, as bars: a group for all routers, one for each with enough trials.

    Parameters
    ----------
    shares : dict of str to dict of str to float
        See `recroute.tuning.importance.importances`.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    bars = [(group, name, share) for group, found in shares.items() for name, share in _sorted(found)]
    if ax is None:
        ax = new_axes(8.5, 0.9 + 0.26 * len(bars))
    groups = list(shares)
    heights = [-(i + 0.6 * groups.index(group)) for i, (group, _, _) in enumerate(bars)]
    colours = [COLOURS[groups.index(group) % len(COLOURS)] for group, _, _ in bars]
    ax.barh(heights, [share for _, _, share in bars], color=colours, height=0.75)
    ax.set_yticks(heights, [f"{group}: {name}" for group, name, _ in bars], fontsize=8.5)
    for height, (_, _, share) in zip(heights, bars, strict=True):
        ax.text(share + 0.01, height, f"{share:.0%}", va="center", fontsize=8)
    ax.set_xlim(0, 1.08)
    ax.set_xlabel("share of the variance of the value")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def study_html(
    name: str,
    trials: pl.DataFrame,
    shares: Shares,
    notes: list[str],
    best: str,
    *,
    maximize: bool = True,
    evaluation: Evaluation | None = None,
) -> str:
    """The report of a study: what was chosen and why, the search, and the choice on test.

    Parameters
    ----------
    name : str
    trials : polars.DataFrame
        `Tuned.trials`.
    shares : dict
        See `plot_shares`.
    notes : list of str
    best : str
        Label of the chosen pipeline.
    maximize : bool
    evaluation : Evaluation, optional
        On test; None if the study is not over.
    """
    return page(f"Study {name}", _sections(name, trials, shares, notes, best, maximize, evaluation))


def study_notebook(trials: pl.DataFrame, notes: list[str], best: str, evaluation: Evaluation | None) -> str:
    """What a notebook shows: the choice, the notes, the first trials, and the choice on test."""
    head = [
        f"<h3>Chosen: {escape(best)}</h3>",
        f"<p>{_facts(trials)}</p>",
        html_list(notes),
        _trial_rows(trials.sort("place").head(BEST_TRIALS), sortable=False),
    ]
    if evaluation is None:
        return "\n".join([*head, "<p><b>NOT FINISHED: test has not been read.</b></p>"])
    return "\n".join([*head, notebook_html(evaluation)])


def trials_counted(trials: pl.DataFrame) -> str:
    """How many trials there were, and what came of them."""
    counts = dict(trials["state"].value_counts().iter_rows())
    told = [f"{counts[state]} {words}" for state, words in OUTCOMES.items() if state in counts]
    return f"{trials.height} trials: {', '.join(told)}"


def _facts(trials: pl.DataFrame) -> str:
    spent = trials["seconds"].sum()
    return f"{trials_counted(trials)}; {spent:,.0f} seconds of computing. Test instances had no part in it."


def _sections(
    name: str,
    trials: pl.DataFrame,
    shares: Shares,
    notes: list[str],
    best: str,
    maximize: bool,
    evaluation: Evaluation | None,
) -> Iterator[str]:
    yield f"<h1>Study {escape(name)}</h1>"
    yield f'<p class="facts">{_facts(trials)}</p>'
    if evaluation is None:
        yield '<p class="banner">NOT FINISHED: test has not been read. The same command again goes on.</p>'
    yield f'<section class="verdict">{html_list([f"chosen: {best}", *notes])}</section>'
    yield "<h2>The search</h2>"
    caption = (
        "Value of each trial on validation, the mean of all folds, and the best so far. A trial that was stopped early "
        "has no such value; a cross at the bottom marks it."
    )
    yield _figure(plot_history(trials, maximize=maximize), "history", caption)
    if shares:
        caption = (
            "What the differences between completed trials come from. The sampler tries promising values more often, "
            "so this is about what was tried, not about the whole space."
        )
        yield _figure(plot_shares(shares), "importance", caption)
    yield f"<details><summary>All trials</summary>{_trial_rows(trials.sort('place'))}</details>"
    if evaluation is not None:
        yield "<h2>On test</h2>"
        yield from evaluation_sections(evaluation)


def _figure(ax: Any, name: str, caption: str) -> str:
    return f"<figure>{inline_svg(ax.figure, name, caption)}<figcaption>{escape(caption)}</figcaption></figure>"


def _trial_rows(trials: pl.DataFrame, sortable: bool = True) -> str:
    values = [name for name in ("value", "value_2") if name in trials.columns]
    heads = ("pipeline", "outcome", "trial", *(name.replace("_", " ") for name in values), "folds", "seconds")
    rows = [
        [
            row["pipeline"],
            row["outcome"],
            Number(row["number"], form="d"),
            *(Number(row[name], form=".4f") for name in values),
            Number(row["n_folds"], form="d"),
            Number(row["seconds"], form=".1f"),
        ]
        for row in trials.iter_rows(named=True)
    ]
    return html_table(heads, rows, text=2, sortable=sortable)


def _sorted(found: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(found.items(), key=lambda item: -item[1])
