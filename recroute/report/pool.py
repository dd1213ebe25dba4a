"""A chosen pool as tables, a figure and one HTML file."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import polars as pl
from rich.table import Table
from rich.text import Text

from recroute.data.atomic import new_file
from recroute.report.html import html_list, page
from recroute.report.html_table import Number, fact_table, html_table
from recroute.report.plot import COLOURS, MARKERS
from recroute.report.svg import inline_svg
from recroute.report.terminal_plot import growth_plot
from recroute.subpool import PoolChoice

GROUPS = {  # in the order of tables and plots
    "chosen_routed": "chosen for routing",
    "chosen_oracle": "chosen for the oracle",
    "all_strong": "all_strong",
    "random": "random",
    "best_single": "best single LLM",
}
METRICS = {"share_of_all": "routed quality", "oracle_share_of_all": "oracle score"}
MOST_NAMED = 3  # LLMs that a task's row names


def pool_tables(found: PoolChoice) -> list[Table]:
    """The pool, where each task goes, and both shares by size."""
    return [_pool_table(found), _task_table(found), *(_share_table(found, metric) for metric in METRICS)]


def pool_plot(found: PoolChoice) -> Text:
    """The share of routed quality by size, for a terminal."""
    rows = found.pooled("share_of_all").filter(pl.col("group").is_in(list(GROUPS)))
    kept = rows.with_columns(router=pl.col("group"), group=pl.lit(f"all {_n_llms(found):,} LLMs = 1"))
    return growth_plot(kept.drop("baseline"), metric="share_of_all", height=14)


def plot_pool(found: PoolChoice) -> Any:
    """Two pictures side by side: routed quality and oracle score by size, as shares of those of all LLMs.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = Figure(figsize=(11.5, 4.6), layout="constrained")
    for axes, (metric, told) in zip(figure.subplots(1, 2), METRICS.items(), strict=True):
        for i, (group, label) in enumerate(GROUPS.items()):
            rows = found.pooled(metric, group=group)
            if group == "best_single":
                axes.axhline(rows["value"][0], color="0.45", ls=":", lw=1.4, label=label)
            elif rows.height:
                _curve(axes, rows, label, i)
        axes.axhline(1, color="0.3", lw=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("LLMs deployed")
        axes.set_title(f"{told}, share of all {_n_llms(found):,} LLMs", loc="left", fontsize=11)
        axes.grid(axis="y", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8.5, loc="lower right")
    figure.suptitle(
        f"{_marked(found)}{found.info['dataset']['name']}, {_router(found)}".replace("$", r"\$"), x=0.01, ha="left"
    )
    return figure


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
    with new_file(path) as temporary:
        plot_pool(found).savefig(temporary, dpi=150, format="png")


def write_pool_html(found: PoolChoice, path: Path) -> None:
    """Write the report as one HTML file, whole or not at all."""
    with new_file(path) as temporary:
        text = page(f"LLMs worth deploying, {found.info['dataset']['name']}", _sections(found))
        temporary.write_text(text, encoding="utf8")


def pool_notebook(found: PoolChoice) -> str:
    """What a notebook shows: the verdict and the figure."""
    return "\n".join([*_head(found, 3), inline_svg(plot_pool(found), "pool", "share of all LLMs by size")])


def _pool_table(found: PoolChoice) -> Table:
    table = Table(title=f"{_marked(found)}the {len(found.llms)} LLMs (chosen for: {found.info['objective']})")
    table.title_justify = table.caption_justify = "left"
    table.add_column("LLM", overflow="fold")
    table.add_column("answers", justify="right")
    table.add_column("seeds", justify="right")
    table.add_column("if withdrawn, take", overflow="fold")
    table.add_column("mean score then", justify="right")
    for row in _members(found):
        then = "-" if row["mean_score"] is None else f"{row['mean_score']:.3f}"
        gap = (
            ""
            if row["mean_score"] is None
            else f"\n[dim]{row['difference']:+.3f} ({row['ci_low']:+.3f} {row['ci_high']:+.3f})[/dim]"
        )
        table.add_row(
            Text(row["llm_id"]),
            f"{row['share']:.0%}",
            f"{row['n_seeds']} of {len(found.info['seeds'])}",
            Text(row["replacement"] or "-"),
            then + gap,
        )
    table.caption = (
        f"answers: share of the training prompts that {_router(found)} sends there, folds held out; mean score on the "
        f"{found.info['dataset']['n_test']} test prompts of seed {found.info['seed']}, below it the paired difference"
    )
    return table


def _task_table(found: PoolChoice) -> Table:
    table = Table(title=f"{_marked(found)}where the prompts go", title_justify="left")
    table.add_column("task", overflow="fold")
    table.add_column("prompts", justify="right")
    table.add_column("LLMs", overflow="fold")
    for (task,), rows in found.tasks.group_by("task", maintain_order=True):
        used = rows.filter(pl.col("share") > 0).sort("share", descending=True, maintain_order=True)
        told = [f"{share:.0%} {llm}" for llm, share in used.select("llm_id", "share").head(MOST_NAMED).iter_rows()]
        if (others := used.height - len(told)) > 0:
            told.append(f"{used['share'][MOST_NAMED:].sum():.0%} {others} other{'s' * (others > 1)}")
        table.add_row(Text(str(task)), f"{rows['n_instances'][0]:,}", Text("\n".join(told)))
    return table


def _share_table(found: PoolChoice, metric: str) -> Table:
    table = Table(title=f"{_marked(found)}{METRICS[metric]} on test, share of all {_n_llms(found):,} LLMs")
    table.title_justify = table.caption_justify = "left"
    table.add_column("LLMs", justify="right")
    groups = [group for group in GROUPS if found.pooled(metric, group=group).height]
    for group in groups:
        table.add_column(GROUPS[group], justify="right", no_wrap=True)
    for size in _sizes(found, metric):
        table.add_row(str(size), *(_cell(_row(found, metric, group=group, pool_size=size)) for group in groups))
    full = _row(found, "mean_score" if metric == "share_of_all" else "oracle", group="all")
    assert full is not None
    table.caption = (
        f"of all: {_router(found) if metric == 'share_of_all' else 'oracle'} {full['value']:.3f} "
        f"[{full['ci_low']:.3f}, {full['ci_high']:.3f}]; n = {full['n_instances']} test prompts x "
        f"{len(found.info['seeds'])} seeds, 95% bootstrap intervals"
    )
    return table


def _members(found: PoolChoice) -> list[dict[str, Any]]:
    """A row for each LLM of the pool: its share of all prompts, seeds that chose it, and what replaces it."""
    total = found.tasks.unique("task")["n_instances"].sum()
    weighted = (pl.col("share") * pl.col("n_instances")).sum() / total
    share = dict(found.tasks.group_by("llm_id").agg(weighted).iter_rows())
    pools = found.pools.filter(objective=found.info["objective"], pool_size=len(found.llms))
    seeds = dict(pools.select("llm_id", "n_seeds").iter_rows())
    after = {row["llm_id"]: row for row in found.replacements.iter_rows(named=True)}
    nobody = dict.fromkeys(found.replacements.columns)
    return [{**after.get(llm, nobody), "llm_id": llm, "share": share[llm], "n_seeds": seeds[llm]} for llm in found.llms]


def _sizes(found: PoolChoice, metric: str) -> list[int]:
    rows = found.pooled(metric).filter(pl.col("group") != "all")
    return sorted(rows["pool_size"].unique().to_list())


def _row(found: PoolChoice, metric: str, **where: Any) -> dict[str, Any] | None:
    rows = found.pooled(metric, **where)
    return rows.row(0, named=True) if rows.height else None


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    return f"{row['value']:.1%}\n[dim]{row['ci_low']:.1%} {row['ci_high']:.1%}[/dim]"


def _number(row: dict[str, Any] | None, form: str = ".1%") -> Number:
    return Number(None) if row is None else Number(row["value"], row["ci_low"], row["ci_high"], form)


def _marked(found: PoolChoice) -> str:
    return "SIMULATED DATA: " if found.info["dataset"]["simulated"] else ""


def _router(found: PoolChoice) -> str:
    return str(found.info["router"])


def _n_llms(found: PoolChoice) -> int:
    """LLMs that a pool could be chosen from."""
    return int(found.pooled("mean_score", group="all")["pool_size"][0])


def _head(found: PoolChoice, level: int) -> Iterator[str]:
    data = found.info["dataset"]
    yield f"<h{level}>LLMs worth deploying: {escape(str(data['name']))}</h{level}>"
    told = (
        f"{data['n_instances']:,} instances x {data['n_llms']:,} LLMs; router {_router(found)}; n = "
        f"{data['n_test']:,} test prompts x {len(found.info['seeds'])} seeds; 95% bootstrap intervals. Pools are "
        "chosen on training prompts."
    )
    yield f'<p class="facts">{escape(told)}</p>'
    if data["simulated"]:
        yield '<p class="banner">SIMULATED DATA: nothing here says anything about real LLMs.</p>'
    if not found.info["complete"]:
        yield '<p class="banner">INTERRUPTED: only the seeds that were finished are here.</p>'
    yield f'<section class="verdict">{html_list(found.sentences())}</section>'
    if found.notes:
        yield f'<h{level + 1}>What you should know</h{level + 1}><div class="notes">{html_list(found.notes)}</div>'


def _sections(found: PoolChoice) -> Iterator[str]:
    yield from _head(found, 1)
    caption = (
        "Left: what the router, fitted on the pool alone, reaches on test prompts, as a share of what it reaches with "
        "all LLMs. Right: the same for the best score in the pool, which no router reaches."
    )
    picture = inline_svg(plot_pool(found), "pool", caption)
    yield f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"
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
            for row in _members(found)
        ],
        text=2,
    )
    yield "<h2>Where the prompts go</h2>"
    tasks = found.tasks.unique("task", maintain_order=True).select("task", "n_instances")
    yield html_table(["LLM", *(f"{task} ({n:,})" for task, n in tasks.iter_rows())], _task_rows(found))
    for metric, told in METRICS.items():
        yield f"<h2>{told.capitalize()} on test, by size</h2>"
        groups = [group for group in GROUPS if found.pooled(metric, group=group).height]
        yield html_table(
            ["LLMs", *(GROUPS[group] for group in groups)],
            [
                [str(size), *(_number(_row(found, metric, group=group, pool_size=size)) for group in groups)]
                for size in _sizes(found, metric)
            ],
        )
    yield "<h2>Paired differences</h2>"
    yield '<p class="caption">Both pools on the same resampled test prompts; shares of what all LLMs reach.</p>'
    pairs = found.rows.filter(pl.col("seed").is_null() & pl.col("baseline").is_not_null())
    yield html_table(
        ["pool", "baseline", "what", "LLMs", "difference"],
        [
            [
                GROUPS[row["group"]],
                GROUPS[row["baseline"]],
                METRICS[row["metric"]],
                Number(row["pool_size"], form="d"),
                _number(row, "+.1%"),
            ]
            for row in pairs.filter(pl.col("metric").is_in(list(METRICS))).iter_rows(named=True)
        ],
        text=3,
    )
    yield "<h2>How this came about</h2>"
    if command := found.info.get("command"):
        yield f"<pre><code>{escape(shlex.join(map(str, command)))}</code></pre>"
    facts = {key.replace("_", " "): value for key, value in found.info["dataset"].items() if key != "sha256"}
    asked = {key: found.info[key] for key in ("objective", "router", "budget")}
    asked |= {"keep": ", ".join(found.info["keep"]), "seeds": ", ".join(map(str, found.info["seeds"]))}
    yield fact_table(facts | asked)
    yield f"<h3>Versions</h3>{fact_table(found.info['environment'])}"
    yield f"<h3>SHA-256 of each seed's split</h3>{fact_table(found.info['splits'])}"


def _task_rows(found: PoolChoice) -> list[list[str | Number]]:
    """LLMs by task: the other way round than in a terminal, because names of LLMs are long."""
    return [
        [llm, *(Number(share, form=".0%") for share in found.tasks.filter(llm_id=llm)["share"])] for llm in found.llms
    ]
