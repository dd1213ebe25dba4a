"""What a search has found, as pictures and as one HTML file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import polars as pl

from recroute.evaluation import Evaluation
from recroute.report.figures import new_axes
from recroute.report.html import evaluation_sections, html_list, notebook_html, page
from recroute.report.html_table import Number, html_table
from recroute.report.plot import COLOURS, MARKERS
from recroute.report.svg import inline_svg

BEST_TRIALS = 5  # that a notebook shows
Shares = Mapping[str, Mapping[str, float]]


def plot_history(trials: pl.DataFrame, *, maximize: bool = True, ax: Any = None) -> Any:
    """Values by trial: one mark for each completed trial, by router, small crosses for pruned ones, the best so far.

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
    trials = trials.with_row_index("place_in_time", 1)  # numbers have gaps: a proposal tried before is no trial
    done = trials.filter(state="complete")
    for i, (key, rows) in enumerate(done.group_by("router", maintain_order=True)):
        look = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)], "ls": "", "ms": 6}
        ax.plot(rows["place_in_time"], rows["value"], label=str(key[0]) or "completed", **look)
    pruned = trials.filter(state="pruned")
    if pruned.height:
        ax.plot(pruned["place_in_time"], pruned["estimate"], "x", color="0.6", ms=5, label="stopped early")
    if done.height:
        best = done["value"].cum_max() if maximize else done["value"].cum_min()
        ax.step(done["place_in_time"], best, where="post", color="0.2", lw=1.2, label="best so far")
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
        f"<p>{_counted(trials)}. Test instances had no part in it.</p>",
        html_list(notes),
        _trial_rows(trials.sort("place").head(BEST_TRIALS), sortable=False),
    ]
    if evaluation is None:
        return "\n".join([*head, "<p><b>NOT FINISHED: test has not been read.</b></p>"])
    return "\n".join([*head, notebook_html(evaluation)])


def _counted(trials: pl.DataFrame) -> str:
    states = trials["state"].value_counts().sort("state").rows()
    told = {"complete": "judged on all folds", "pruned": "stopped early", "fail": "failed"}
    counted = ", ".join(f"{count} {told.get(state, state)}" for state, count in states)
    spent = f"; {trials['seconds'].sum():,.0f} seconds of computing" if "seconds" in trials.columns else ""
    return f"{trials.height} trials: {counted}{spent}"


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
    yield f'<p class="facts">{_counted(trials)}. Test instances had no part in it.</p>'
    if evaluation is None:
        yield '<p class="banner">NOT FINISHED: test has not been read. The same command again goes on.</p>'
    yield f'<section class="verdict">{html_list([f"chosen: {best}", *notes])}</section>'
    yield "<h2>The search</h2>"
    caption = (
        "Value of each trial on validation, and the best so far. A trial that was stopped is where it would be, had it "
        "kept its distance to the others."
    )
    yield _figure(plot_history(trials, maximize=maximize), "history", caption)
    if shares:
        caption = (
            "What the differences between completed trials come from. The sampler tries promising values more often, "
            "so this is about what was tried, not about the whole space."
        )
        yield _figure(plot_shares(shares), "importance", caption)
    yield _trial_table(trials, maximize)
    if evaluation is not None:
        yield "<h2>On test</h2>"
        yield from evaluation_sections(evaluation)


def _figure(ax: Any, name: str, caption: str) -> str:
    return f"<figure>{inline_svg(ax.figure, name, caption)}<figcaption>{escape(caption)}</figcaption></figure>"


def _trial_table(trials: pl.DataFrame, maximize: bool) -> str:
    ordered = trials.sort("value", descending=maximize, nulls_last=True)
    return f"<details><summary>All trials</summary>{_trial_rows(ordered)}</details>"


def _trial_rows(trials: pl.DataFrame, sortable: bool = True) -> str:
    heads = ("pipeline", "outcome", "trial", "value", "folds", "seconds")
    rows = [
        [
            row["pipeline"],
            row["error"] or row["state"],
            Number(row["number"], form="d"),
            Number(row["value"], form=".4f"),
            Number(row["n_folds"], form="d"),
            Number(row["seconds"], form=".1f"),
        ]
        for row in trials.iter_rows(named=True)
    ]
    return html_table(heads, rows, text=2, sortable=sortable)


def _sorted(found: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(found.items(), key=lambda item: -item[1])
