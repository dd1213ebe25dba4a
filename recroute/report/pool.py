"""A chosen pool in the terminal: tables and a plot."""

from __future__ import annotations

from typing import Any

import polars as pl
from rich.table import Table
from rich.text import Text

from recroute.experiment.compare import bracket
from recroute.pool_choice import PoolChoice
from recroute.report.old_terminal_plot import growth_plot
from recroute.report.stacked import stacked
from recroute.report.table import with_interval

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
    if rows.is_empty():  # what all LLMs reach is 0, as the sentences tell
        return Text()
    kept = rows.with_columns(router=pl.col("group"), group=pl.lit(f"all {n_candidates(found):,} LLMs = 1"))
    return growth_plot(kept.drop("baseline"), metric="share_of_all", height=14)


def _pool_table(found: PoolChoice) -> Table:
    table = Table(title=f"{marked(found)}the {len(found.llms)} LLMs (chosen for: {found.info['objective']})")
    table.title_justify = table.caption_justify = "left"
    table.add_column("LLM", overflow="fold")
    table.add_column("answers", justify="right")
    table.add_column("seeds", justify="right")
    table.add_column("if withdrawn, take", overflow="fold")
    table.add_column("mean score then", justify="right")
    for row in members(found):
        then: str | Text = "-"
        if row["mean_score"] is not None:
            bounds = f"{row['ci_low']:+.3f} {row['ci_high']:+.3f}"
            then = stacked(f"{row['mean_score']:.3f}", f"{row['difference']:+.3f} ({bounds})")
        n_seeds = f"{row['n_seeds']} of {len(found.info['seeds'])}"
        table.add_row(row["llm_id"], f"{row['share']:.0%}", n_seeds, row["replacement"] or "-", then)
    table.caption = (
        f"answers: share of the training prompts that {found.info['router']} sends there, folds held out; mean score "
        f"on the {found.info['dataset']['n_test']} test prompts of seed {found.info['seed']}, below it the difference"
    )
    return table


def _task_table(found: PoolChoice) -> Table:
    table = Table(title=f"{marked(found)}where the prompts go", title_justify="left")
    table.add_column("task", overflow="fold")
    table.add_column("prompts", justify="right")
    table.add_column("LLMs", overflow="fold")
    for (task,), rows in found.tasks.group_by("task", maintain_order=True):
        used = rows.filter(pl.col("share") > 0).sort("share", descending=True, maintain_order=True)
        told = [f"{share:.0%} {llm}" for llm, share in used.select("llm_id", "share").head(MOST_NAMED).iter_rows()]
        if (others := used.height - len(told)) > 0:
            told.append(f"{used['share'][MOST_NAMED:].sum():.0%} {others} other{'s' * (others > 1)}")
        table.add_row(str(task), f"{rows['n_instances'][0]:,}", "\n".join(told))
    return table


def _share_table(found: PoolChoice, metric: str) -> Table:
    table = Table(title=f"{marked(found)}{METRICS[metric]} on test, share of all {n_candidates(found):,} LLMs")
    table.title_justify = table.caption_justify = "left"
    table.add_column("LLMs", justify="right")
    groups = [group for group in GROUPS if found.pooled(metric, group=group).height]
    for group in groups:
        table.add_column(GROUPS[group], justify="right", no_wrap=True)
    for size in sizes(found, metric):
        table.add_row(str(size), *(_cell(one_row(found, metric, group=group, pool_size=size)) for group in groups))
    full = one_row(found, "mean_score" if metric == "share_of_all" else "oracle", group="all")
    assert full is not None
    table.caption = (
        f"of all: {found.info['router'] if metric == 'share_of_all' else 'oracle'} {full['value']:.3f} "
        f"{bracket(full['ci_low'], full['ci_high'])}; n = {full['n_instances']} test prompts x "
        f"{len(found.info['seeds'])} seeds, 95% bootstrap intervals"
    )
    return table


def members(found: PoolChoice) -> list[dict[str, Any]]:
    """A row for each LLM of the pool: its share of all prompts, seeds that chose it, and what replaces it."""
    total = found.tasks.unique("task")["n_instances"].sum()
    weighted = (pl.col("share") * pl.col("n_instances")).sum() / total
    share = dict(found.tasks.group_by("llm_id").agg(weighted).iter_rows())
    pools = found.pools.filter(objective=found.info["objective"], pool_size=len(found.llms))
    seeds = dict(pools.select("llm_id", "n_seeds").iter_rows())
    after = {row["llm_id"]: row for row in found.replacements.iter_rows(named=True)}
    nobody = dict.fromkeys(found.replacements.columns)
    return [{**after.get(llm, nobody), "llm_id": llm, "share": share[llm], "n_seeds": seeds[llm]} for llm in found.llms]


def sizes(found: PoolChoice, metric: str) -> list[int]:
    """Pool sizes of a metric, without that of all LLMs."""
    rows = found.pooled(metric).filter(pl.col("group") != "all")
    return sorted(rows["pool_size"].unique().to_list())


def one_row(found: PoolChoice, metric: str, **where: Any) -> dict[str, Any] | None:
    """The row pooled over seeds, if there is one."""
    rows = found.pooled(metric, **where)
    return rows.row(0, named=True) if rows.height else None


def _cell(row: dict[str, Any] | None) -> str | Text:
    if row is None:
        return "-"
    return with_interval(row["value"], row["ci_low"], row["ci_high"], ".1%")


def marked(found: PoolChoice) -> str:
    """What stands before every title of simulated data."""
    return "SIMULATED DATA: " if found.info["dataset"]["simulated"] else ""


def n_candidates(found: PoolChoice) -> int:
    """LLMs that a pool could be chosen from."""
    return int(found.pooled("mean_score", group="all")["pool_size"][0])
