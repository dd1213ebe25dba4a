"""Matplotlib figure of a cold start."""

from __future__ import annotations

from typing import Any

from recroute.experiment.result import Result
from recroute.report.figure import SOFT, colour, draw_band, new_row, plain, tidy

DASHES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)))


def draw(found: Result) -> Any:
    """Plot errors of mean scores and, if there are routers, routing quality relative to full data."""
    shares = found.pooled("share_of_full", group="mixed")
    pictures = 2 if shares.height else 1
    axes = new_row(12.5 if shares.height else 6.5, 4.6, pictures)
    _errors(axes[0], found)
    if shares.height:
        _routing(axes[1], found)
    for ax in axes:
        _number_axis(ax, found, "anchors: prompts run on the unseen LLM")
    axes[0].legend(frameon=False, fontsize=8.5)
    if shares.height:
        axes[1].legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes[0].figure.suptitle(plain(f"{found.marked}{found.info['dataset']['name']}"), x=0.01, ha="left")
    return axes[0]


def draw_tasks(found: Result) -> Any:
    """Plot mean scores on tasks that were left out of training, by number of given prompts."""
    (ax,) = new_row(6.5, 4.6, 1)
    rows = found.pooled("mean_score", group="mean")
    for i, (router,) in enumerate(
        rows.filter(strategy="refresh").select("router").unique(maintain_order=True).iter_rows()
    ):
        draw_band(ax, rows.filter(router=router, strategy="refresh"), "n_anchors", i, label=plain(router))
        for value in rows.filter(router=router, strategy="task known")["value"]:
            ax.axhline(value, color=colour(i), lw=0.8, ls=":")
    _number_axis(ax, found, "prompts of the new task that were given")
    ax.set_ylabel("mean score")
    ax.legend(frameon=False, fontsize=8.5)
    ax.set_title(plain(f"{found.marked}{found.info['dataset']['name']}"), loc="left", fontsize=11)
    return ax


def _number_axis(ax: Any, found: Result, label: str) -> None:
    anchors = sorted(found.info["anchors"])
    ax.set_xscale("symlog", base=2, linthresh=1)
    ax.set_xticks(anchors, [str(k) for k in anchors])
    ax.minorticks_off()
    ax.set_xlabel(label)
    ax.set_xlim(-0.15, anchors[-1] * 1.15)
    tidy(ax)


def _errors(ax: Any, found: Result) -> None:
    strategies = found.info["strategies"]
    for i, strategy in enumerate(strategies):
        rows = found.pooled("mean_score_error", strategy=strategy)
        draw_band(ax, rows, "n_anchors", i, label=f"fold-in, {strategy} anchors")
    plain_of = "random" if "random" in strategies else strategies[0]
    rows = found.pooled("plain_mean_error", strategy=plain_of)
    ax.plot(rows["n_anchors"], rows["value"], color=SOFT, ls="--", lw=1.3, label=f"plain mean of {plain_of} anchors")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("error of the mean score of an unseen LLM")
    ax.set_title("prediction of unseen LLMs", loc="left", fontsize=11)


def _routing(ax: Any, found: Result) -> None:
    rows = found.pooled("share_of_full", group="mixed")
    for i, (router,) in enumerate(rows.select("router").unique(maintain_order=True).iter_rows()):
        for j, strategy in enumerate(reversed(found.info["strategies"])):
            own = rows.filter(router=router, strategy=strategy)
            dash = DASHES[j % len(DASHES)]
            draw_band(ax, own, "n_anchors", i, label=plain(f"{router}, {strategy}"), dash=dash, band=j == 0)
    ax.axhline(1, color="0.3", lw=0.8)
    ax.axhline(0.99, color="0.3", lw=0.8, ls=":")
    ax.set_ylabel("mean score relative to full data")
    ax.set_title("routing with half of the pool unseen", loc="left", fontsize=11)
