"""A chosen pool as a figure and as one HTML file."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import polars as pl

from recroute.pool_choice import PoolChoice
from recroute.report.old_figures import new_row
from recroute.report.old_html import html_list, opening, page
from recroute.report.old_html_table import Number, fact_table, html_table
from recroute.report.old_plot import COLOURS, MARKERS, save_axes
from recroute.report.pool import GROUPS, METRICS, marked, members, n_candidates, one_row, sizes
from recroute.report.svg import inline_svg, notebook_svg
from recroute.util.files import write_text


def plot_pool(found: PoolChoice) -> Any:
    """Two pictures side by side: routed quality and oracle score by size, as shares of those of all LLMs.

    Returns
    -------
    matplotlib.axes.Axes of the routed quality; `.figure` has both.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    both = new_row(11.5, 4.6, 2)
    for axes, (metric, told) in zip(both, METRICS.items(), strict=True):
        for i, (group, label) in enumerate(GROUPS.items()):
            rows = found.pooled(metric, group=group)
            if rows.is_empty():
                continue
            if group == "best_single":
                axes.axhline(rows["value"][0], color="0.45", ls=":", lw=1.4, label=label)
            else:
                _curve(axes, rows, label, i)
        axes.axhline(1, color="0.3", lw=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("LLMs deployed")
        axes.set_title(f"{told}, share of all {n_candidates(found):,} LLMs", loc="left", fontsize=11)
        axes.grid(axis="y", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8.5, loc="lower right")
    both[0].figure.suptitle(
        f"{marked(found)}{found.info['dataset']['name']}, {found.info['router']}".replace("$", r"\$"), x=0.01, ha="left"
    )
    return both[0]


def _curve(axes: Any, rows: pl.DataFrame, label: str, i: int) -> None:
    is_chosen = label.startswith("chosen")
    colour = COLOURS[i] if i < 3 else "0.45"
    axes.plot(
        rows["pool_size"],
        rows["value"],
        color=colour,
        ls="-" if is_chosen else "--",
        marker=MARKERS[i],
        ms=5,
        lw=2 if is_chosen else 1.4,
        label=label,
    )
    if is_chosen:
        axes.fill_between(rows["pool_size"], rows["ci_low"], rows["ci_high"], color=colour, alpha=0.13, lw=0)


def save_pool_png(found: PoolChoice, path: Path) -> None:
    """Write `plot_pool` as a PNG file of 150 dpi, whole or not at all."""
    save_axes(plot_pool(found), path)


def write_pool_html(found: PoolChoice, path: Path) -> None:
    """Write the report as one HTML file, whole or not at all."""
    write_text(path, page(f"LLMs worth deploying, {found.info['dataset']['name']}", _sections(found)))


def pool_notebook(found: PoolChoice) -> str:
    """What a notebook shows: the verdict and the figure."""
    return "\n".join([*_head(found, 3), notebook_svg(plot_pool(found).figure, "pool", "share of all LLMs by size")])


def _head(found: PoolChoice, level: int) -> Iterator[str]:
    data = found.info["dataset"]
    yield f"<h{level}>LLMs worth deploying: {escape(str(data['name']))}</h{level}>"
    told = (
        f"{data['n_instances']:,} instances x {data['n_llms']:,} LLMs; router {found.info['router']}; n = "
        f"{data['n_test']:,} test prompts x {len(found.info['seeds'])} seeds; 95% bootstrap intervals. Pools are "
        "chosen on training prompts."
    )
    yield from opening(
        told,
        simulated=data["simulated"],
        interrupted=None if found.info["complete"] else "seeds",
        verdict=html_list(found.sentences()),
    )
    if found.notes:
        yield f'<h{level + 1}>What you should know</h{level + 1}><div class="notes">{html_list(found.notes)}</div>'


def _sections(found: PoolChoice) -> Iterator[str]:
    yield from _head(found, 1)
    caption = (
        "Left: what the router, fitted on the pool alone, reaches on test prompts, as a share of what it reaches with "
        "all LLMs. Right: the same for the best score in the pool, which no router reaches."
    )
    picture = inline_svg(plot_pool(found).figure, "pool", caption)
    yield f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"
    yield from _pool(found)
    for metric, told in METRICS.items():
        yield f"<h2>{told.capitalize()} on test, by size</h2>"
        yield _share_html(found, metric)
    yield "<h2>Paired differences</h2>"
    yield '<p class="caption">Both pools on the same resampled test prompts; shares of what all LLMs reach.</p>'
    yield _difference_html(found)
    yield "<h2>How this came about</h2>"
    if command := found.info.get("command"):
        yield f"<pre><code>{escape(shlex.join(map(str, command)))}</code></pre>"
    facts = {key.replace("_", " "): value for key, value in found.info["dataset"].items() if key != "sha256"}
    asked = {key: found.info[key] for key in ("objective", "router", "budget")}
    asked |= {"keep": ", ".join(found.info["keep"]), "seeds": ", ".join(map(str, found.info["seeds"]))}
    yield fact_table(facts | asked)
    yield f"<h3>Versions</h3>{fact_table(found.info['environment'])}"
    yield f"<h3>SHA-256 of each seed's split</h3>{fact_table(found.info['splits'])}"


def _pool(found: PoolChoice) -> Iterator[str]:
    """Its LLMs, and which prompts go to them: LLMs down, not across as in a terminal, because their names are long."""
    yield f"<h2>The {len(found.llms)} LLMs</h2>"
    yield (
        '<p class="caption">A click on a head sorts. Small numbers are 95% intervals. Answers: share of the training '
        "prompts that the router sends there, folds held out. Seeds: splits whose pool has the LLM too. If withdrawn: "
        "the exchange that loses least on train, and what it changes on the test prompts of the first seed.</p>"
    )
    yield html_table(
        ["LLM", "if withdrawn, take", "answers", "seeds", "mean score then", "difference"],
        [
            [
                row["llm_id"],
                row["replacement"] or "-",
                Number(row["share"], form=".1%"),
                Number(row["n_seeds"], form="d"),
                Number(row["mean_score"]),
                Number(row["difference"], row["ci_low"], row["ci_high"], "+.3f"),
            ]
            for row in members(found)
        ],
        text=2,
    )
    yield "<h2>Where the prompts go</h2>"
    tasks = found.tasks.unique("task", maintain_order=True).select("task", "n_instances")
    heads = [f"{task} ({n:,})" for task, n in tasks.iter_rows()]
    rows: list[list[str | Number]] = [
        [llm, *(Number(share, form=".0%") for share in found.tasks.filter(llm_id=llm)["share"])] for llm in found.llms
    ]
    yield html_table(["LLM", *heads], rows)


def _share_html(found: PoolChoice, metric: str) -> str:
    groups = [group for group in GROUPS if found.pooled(metric, group=group).height]
    rows: list[list[str | Number]] = [
        [str(size), *(_number(one_row(found, metric, group=group, pool_size=size)) for group in groups)]
        for size in sizes(found, metric)
    ]
    return html_table(["LLMs", *(GROUPS[group] for group in groups)], rows)


def _difference_html(found: PoolChoice) -> str:
    pairs = found.rows.filter(pl.col("seed").is_null(), pl.col("baseline").is_not_null())
    rows: list[list[str | Number]] = [
        [
            GROUPS[row["group"]],
            GROUPS[row["baseline"]],
            METRICS[row["metric"]],
            Number(row["pool_size"], form="d"),
            _number(row, "+.1%"),
        ]
        for row in pairs.filter(pl.col("metric").is_in(list(METRICS))).iter_rows(named=True)
    ]
    return html_table(["pool", "baseline", "what", "LLMs", "difference"], rows, text=3)


def _number(row: dict[str, Any] | None, form: str = ".1%") -> Number:
    return Number(None) if row is None else Number(row["value"], row["ci_low"], row["ci_high"], form)
