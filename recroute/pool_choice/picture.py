"""Plots of a PoolChoice: a Matplotlib figure, and curves in a terminal."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from recroute.experiment.result import Result
from recroute.pool_choice.rows import GROUPS, ORACLE, RANDOM, ROUTED, SHARES, SINGLE
from recroute.report.curves import Curve
from recroute.report.figure import MARKERS, SOFT, draw_band, new_row, plain, tidy
from recroute.report.terminal_plot import curves_text

CHOSEN = (ROUTED, ORACLE)


def draw(found: Result, what: str) -> Any:
    """Draw routed quality and oracle score by pool size, see `PoolChoice.plot`; `what` names the unit in the titles."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes = new_row(11.5, 4.6, 2)
    for ax, (metric, name) in zip(axes, SHARES.items(), strict=True):
        for i, (group, label) in enumerate(GROUPS.items()):
            rows = found.pooled(metric, group=group)
            if rows.is_empty():
                continue
            if group == SINGLE:
                ax.axhline(rows["value"][0], color=SOFT, ls=":", lw=1.4, label=label)
            elif group == RANDOM:
                ax.plot(rows["pool_size"], rows["value"], color=SOFT, ls="--", marker=MARKERS[i], ms=4, label=label)
            else:
                chosen = group in CHOSEN
                draw_band(ax, rows, "pool_size", i, label=label, dash="-" if chosen else "--", band=chosen)
        ax.axhline(1, color="0.3", lw=0.8)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        ax.set_xlabel("LLMs deployed")
        ax.set_title(f"{name}, {what}", loc="left", fontsize=11)
        tidy(ax)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize=8.5, loc="lower right")
    title = plain(f"{found.marked}{found.info['dataset']['name']}, {found.info['router']}")
    axes[0].figure.suptitle(title, x=0.01, ha="left")
    return axes[0]


def text(found: Result, what: str) -> Text:
    """Routed quality by pool size as curves for a terminal; empty if the routed quality of all LLMs is 0."""
    metric, curves = "share_of_all", []
    for group, label in GROUPS.items():
        rows = found.pooled(metric, group=group).select("pool_size", "value", "ci_low", "ci_high")
        if rows.height:
            curves.append(Curve(label, list(rows.iter_rows()), soft=group in (RANDOM, SINGLE)))
    if not curves:
        return Text()
    return curves_text(curves, title=f"{SHARES[metric]}, {what}", x_label="LLMs deployed", height=14)
