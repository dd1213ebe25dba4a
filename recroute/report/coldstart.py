"""Cold start as tables, a figure and one HTML file."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import polars as pl
from rich.table import Table
from rich.text import Text

from recroute.coldstart import ColdStart
from recroute.report.figures import new_row
from recroute.report.html import html_list, opening, page
from recroute.report.html_table import Number, fact_table, html_table
from recroute.report.plot import COLOURS, MARKERS, save_axes
from recroute.report.stacked import stacked
from recroute.report.svg import inline_svg, notebook_svg
from recroute.util.files import write_text

ERRORS = {
    "mean_score_error": "error of the mean score",
    "plain_mean_error": "error of the anchors' plain mean",
    "brier": "Brier",
    "auc": "AUC",
    "interval_coverage": "coverage of 90%",
    "interval_width": "width of 90%",
}
SHARE = "share_of_full"
POOLS = {"mixed": "pools of which half is unseen", "unseen": "pools of unseen LLMs only"}
DASHES = ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)))


def coldstart_tables(found: ColdStart) -> list[Table]:
    """What is known of unseen LLMs, and for each pool what routing reaches, by number of anchors."""
    marked = "SIMULATED DATA: " if found.info["dataset"]["simulated"] else ""
    first = Table(title=f"{marked}what anchors tell of unseen LLMs", title_justify="left")
    for head in ("strategy", "anchors"):
        first.add_column(head, justify="left" if head == "strategy" else "right")
    for name in ERRORS.values():
        first.add_column(name, justify="right")
    for strategy in found.info["strategies"]:
        for k in sorted(found.info["anchors"]):
            cells = [_cell(_row(found, metric, strategy=strategy, n_anchors=k)) for metric in ERRORS]
            first.add_row(strategy, str(k), *cells, end_section=k == max(found.info["anchors"]))
    row = found.pooled("mean_score_error").row(0, named=True)
    first.caption = (
        f"means over {row['n_llms']} unseen LLMs x {len(found.info['seeds'])} seeds (held out: "
        f"{found.info['dataset']['holdout']}); {row['n_instances']} prompts; 95% bootstrap intervals"
    )
    first.caption_justify = "left"
    return [first, *(_routing_table(found, pool, marked) for pool in POOLS if _routed(found, pool).height)]


def _routing_table(found: ColdStart, pool: str, marked: str) -> Table:
    rows = _routed(found, pool)
    routers = rows["router"].unique(maintain_order=True).to_list()
    table = Table(title=f"{marked}routing in {POOLS[pool]}: share of full data", title_justify="left")
    table.add_column("strategy")
    table.add_column("anchors", justify="right")
    for router in routers:
        table.add_column(router, justify="right", overflow="fold")
    for strategy in found.info["strategies"]:
        for k in sorted(found.info["anchors"]):
            where = {"group": pool, "strategy": strategy, "n_anchors": k}
            cells = [_cell(_row(found, SHARE, router=router, **where)) for router in routers]
            table.add_row(strategy, str(k), *cells, end_section=k == max(found.info["anchors"]))
    full = [_row(found, "mean_score", group=pool, router=router, strategy="all scores") for router in routers]
    table.add_row("full data:", "mu", *map(_cell, full))
    bounds = {name: _row(found, "mean_score", group=pool, router=name) for name in ("random", "oracle")}
    told = ", ".join(f"{name} {row['value']:.3f}" for name, row in bounds.items() if row)
    n = rows["n_instances"][0]
    table.caption = (
        f"{found.info['n_pools']} pools of {rows['pool_size'][0]} LLMs, {n} test instances x "
        f"{len(found.info['seeds'])} seeds; mu of {told}"
    )
    table.caption_justify = "left"
    return table


def _routed(found: ColdStart, pool: str) -> pl.DataFrame:
    return found.pooled(SHARE, group=pool)


def _row(found: ColdStart, metric: str, **where: Any) -> dict[str, Any] | None:
    rows = found.pooled(metric, **where)
    return rows.row(0, named=True) if rows.height else None


def _cell(row: dict[str, Any] | None) -> str | Text:
    if row is None or row["value"] is None or row["value"] != row["value"]:
        return "-"
    if math.isnan(row["ci_low"]):
        return f"{row['value']:.3f}"
    low, high = (f"{row[name]:.3f}".removeprefix("0") for name in ("ci_low", "ci_high"))
    return stacked(f"{row['value']:.3f}", f"{low} {high}")


def plot_coldstart(found: ColdStart) -> Any:
    """Two pictures side by side: the error of the mean score, and routing in the mixed pool, by number of anchors.

    Returns
    -------
    matplotlib.axes.Axes of the error; `.figure` has both, without routing the first alone.
    """
    routed = _routed(found, "mixed").height > 0
    axes = new_row(12.5 if routed else 6.5, 4.6, 2 if routed else 1)
    _draw_errors(axes[0], found)
    if routed:
        _draw_routing(axes[1], found)
    for ax in axes:
        anchors = sorted(found.info["anchors"])
        ax.set_xscale("symlog", base=2, linthresh=1)
        ax.set_xticks(anchors, [str(k) for k in anchors])
        ax.minorticks_off()
        ax.set_xlabel("anchors: prompts run on the unseen LLM")
        ax.grid(axis="y", alpha=0.25)
        ax.set_xlim(-0.15, anchors[-1] * 1.15)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8.5)
    if routed:
        axes[1].legend(frameon=False, fontsize=8.5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    data = found.info["dataset"]
    name = f"{'SIMULATED DATA: ' if data['simulated'] else ''}{data['name']}".replace("$", r"\$")
    axes[0].figure.suptitle(name, x=0.01, ha="left")
    return axes[0]


def _draw_errors(ax: Any, found: ColdStart) -> None:
    for i, strategy in enumerate(found.info["strategies"]):
        _curve(ax, found.pooled("mean_score_error", strategy=strategy), i, 0, f"fold-in, {strategy} anchors")
    plain = "random" if "random" in found.info["strategies"] else found.info["strategies"][0]
    rows = found.pooled("plain_mean_error", strategy=plain)
    ax.plot(rows["n_anchors"], rows["value"], color="0.45", ls="--", lw=1.3, label=f"plain mean of {plain} anchors")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("error of the mean score of an unseen LLM")
    ax.set_title("what anchors tell", loc="left", fontsize=11)


def _draw_routing(ax: Any, found: ColdStart) -> None:
    rows = _routed(found, "mixed")
    for i, (router,) in enumerate(rows.select("router").unique(maintain_order=True).iter_rows()):
        for j, strategy in enumerate(reversed(found.info["strategies"])):
            _curve(ax, rows.filter(router=router, strategy=strategy), i, j, f"{router}, {strategy}", band=j == 0)
    ax.axhline(1, color="0.3", lw=0.8)
    ax.axhline(0.99, color="0.3", lw=0.8, ls=":")
    ax.set_ylabel("share of what full data reach")
    ax.set_title("routing where half of the pool is unseen", loc="left", fontsize=11)


def _curve(ax: Any, rows: pl.DataFrame, colour: int, dash: int, label: str, band: bool = True) -> None:
    look = {"color": COLOURS[colour % len(COLOURS)], "ls": DASHES[dash % len(DASHES)]}
    ax.plot(rows["n_anchors"], rows["value"], marker=MARKERS[colour % len(MARKERS)], ms=4, lw=1.8, label=label, **look)
    if band:
        ax.fill_between(rows["n_anchors"], rows["ci_low"], rows["ci_high"], color=look["color"], alpha=0.13, lw=0)


def save_coldstart_png(found: ColdStart, path: Path) -> None:
    """Write `plot_coldstart` as a PNG file of 150 dpi, whole or not at all."""
    save_axes(plot_coldstart(found), path)


def write_coldstart_html(found: ColdStart, path: Path) -> None:
    """Write the report as one HTML file, whole or not at all."""
    write_text(path, page(f"Cold start on {found.info['dataset']['name']}", _sections(found)))


def coldstart_notebook(found: ColdStart) -> str:
    """What a notebook shows: the verdict and the figure."""
    return "\n".join(
        [*_head(found, 3), notebook_svg(plot_coldstart(found).figure, "coldstart", "error and routing by anchors")]
    )


def _sections(found: ColdStart) -> Iterator[str]:
    yield from _head(found, 1)
    caption = (
        "Left: distance of an unseen LLM's predicted mean score from its true one, over prompts it was not run on. "
        "Right: what routing reaches, as a share of the same router with all scores of all LLMs; dotted: 99%."
    )
    picture = inline_svg(plot_coldstart(found).figure, "coldstart", caption)
    yield f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"
    yield "<h2>What anchors tell of unseen LLMs</h2>"
    yield '<p class="caption">A click on a head sorts. Small numbers are 95% intervals.</p>'
    rows: list[list[str | Number]] = [
        [
            f"{strategy} anchors",
            Number(k, form="d"),
            *(_number(_row(found, metric, strategy=strategy, n_anchors=k)) for metric in ERRORS),
        ]
        for strategy in found.info["strategies"]
        for k in sorted(found.info["anchors"])
    ]
    yield html_table(["strategy", "k", *ERRORS.values()], rows)
    for pool, told in POOLS.items():
        if (shares := _routed(found, pool)).height:
            yield f"<h2>Routing in {told}</h2>"
            yield _routing_html(found, pool, shares)
    yield "<h2>How this came about</h2>"
    if command := found.info.get("command"):
        yield f"<pre><code>{escape(shlex.join(map(str, command)))}</code></pre>"
    facts = {key.replace("_", " "): value for key, value in found.info["dataset"].items() if key != "sha256"}
    yield fact_table(facts | {"seeds": ", ".join(map(str, found.info["seeds"]))})
    yield f"<h3>Versions</h3>{fact_table(found.info['environment'])}"
    yield f"<h3>SHA-256 of each seed's split</h3>{fact_table(found.info['splits'])}"


def _head(found: ColdStart, level: int) -> Iterator[str]:
    data = found.info["dataset"]
    yield f"<h{level}>Cold start on {escape(str(data['name']))}</h{level}>"
    row = found.pooled("mean_score_error").row(0, named=True)
    told = (
        f"{data['n_instances']:,} instances x {data['n_llms']:,} LLMs; {row['n_llms']} of them play the unseen ones "
        f"(held out: {data['holdout']}); {len(found.info['seeds'])} seeds; 95% bootstrap intervals."
    )
    yield from opening(
        told,
        simulated=data["simulated"],
        interrupted=None if found.info["complete"] else "seeds",
        verdict=html_list(found.sentences()),
    )
    if found.notes:
        yield f'<h{level + 1}>What you should know</h{level + 1}><div class="notes">{html_list(found.notes)}</div>'


def _routing_html(found: ColdStart, pool: str, shares: pl.DataFrame) -> str:
    anchors = sorted(found.info["anchors"])
    rows = []
    for router, strategy in shares.select("router", "strategy").unique(maintain_order=True).iter_rows():
        where = {"group": pool, "router": router, "strategy": strategy}
        cells = [_number(_row(found, SHARE, n_anchors=k, **where)) for k in anchors]
        full = _number(_row(found, "mean_score", **(where | {"strategy": "all scores"})))
        rows.append([router, strategy, *cells, full])
    return html_table(["router", "strategy", *(f"k={k}" for k in anchors), "full mu"], rows, text=2)


def _number(row: dict[str, Any] | None) -> Number:
    return Number(None) if row is None else Number(row["value"], row["ci_low"], row["ci_high"])
