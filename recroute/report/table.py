"""Rich tables of an evaluation."""

from __future__ import annotations

import math

import polars as pl
from rich.table import Table
from rich.text import Text

from recroute.evaluation import Evaluation
from recroute.report.stacked import stacked

TITLES = {
    "mean_score": "mean score (mu)",
    "best_single_ratio": "mu / best single LLM on test (V_B)",
    "lift": "mu - best single LLM of train (lift)",
    "slope": "slope of mu on log2 m",
    "agreement": "agreement with decided preferences",
}

SIZES_ABREAST = 5  # pool sizes that fit 100 columns with both ends of an interval on one line
MAIN_METRICS = ("mean_score", "best_single_ratio", "lift", "effective_p", "agreement", "choice_entropy")
HEADS = {"mean_score": "mu", "best_single_ratio": "V_B"}


def growth_table(evaluation: Evaluation, metric: str = "mean_score", group: str | None = None) -> Table:
    """Routers by pool size: one metric with its 95% interval, and the slope of mu where there is one.

    Parameters
    ----------
    evaluation : Evaluation
    metric : str
    group : str, optional
        Default: the mean over groups, or the only group.
    """
    rows = evaluation.rows.filter(pl.col("seed").is_null())
    group = group or main_group(rows)
    rows = rows.filter(group=group)
    sizes = sorted(rows.filter(metric=metric)["pool_size"].drop_nulls().unique().to_list())
    slopes = dict(rows.filter(metric="slope").select("router", "value").iter_rows()) if metric == "mean_score" else {}
    table = _router_table(evaluation, f"{TITLES.get(metric, metric)}, group {group}")
    for size in sizes:
        table.add_column(f"m = {size}", justify="right", no_wrap=True)
    if slopes:
        table.add_column("slope", justify="right", no_wrap=True)
    apart = " " if len(sizes) <= SIZES_ABREAST else "\n"  # the ends of an interval below each other in wide tables
    for router in rows["router"].unique(maintain_order=True):
        cells = [_cell(rows.filter(router=router, metric=metric, pool_size=size), apart) for size in sizes]
        table.add_row(router, *cells, *([f"{slopes[router]:+.4f}"] if router in slopes else []))
    return table


def metric_table(evaluation: Evaluation) -> Table:
    """Routers by metric, for one pool; of several held-out kinds of prompt the mean."""
    rows = evaluation.rows.filter(pl.col("seed").is_null())
    rows = rows.filter(group=main_group(rows))
    there = set(rows["metric"])
    shown = [name for name in MAIN_METRICS if name in there]
    info = evaluation.info["dataset"]
    table = _router_table(evaluation, f"{info['name']}: {info['n_llms']} LLMs")
    if "mean_cost" in rows["metric"]:  # so many columns fit beside the names of routers
        shown = [metric for metric in shown if metric != "choice_entropy"]
    spent = rows.filter(metric="mean_cost").with_columns(pl.col("value", "ci_low", "ci_high") * 1000)
    for metric in shown:
        table.add_column(HEADS.get(metric, metric.replace("_", " ")), justify="right", no_wrap=True)
    if spent.height:
        table.add_column("cost of 1,000", justify="right", no_wrap=True)
    for router in rows["router"].unique(maintain_order=True):
        cells = [_cell(rows.filter(router=router, metric=metric)) for metric in shown]
        table.add_row(router, *cells, *([_cell(spent.filter(router=router), form=".4g")] if spent.height else []))
    return table


def published_table(evaluation: Evaluation) -> Table:
    """RouterEval's published baselines, and the same routers of this run beside them.

    The evaluation has to hold some (`info["published"]`).
    """
    published = evaluation.info["published"]
    rows = evaluation.rows.filter(
        pl.col("seed").is_null(), *(pl.col(key) == published[key] for key in ("metric", "group", "pool_size"))
    )
    table = Table(
        title=f"V_B published for {published['benchmark']}, m = {published['pool_size']}, mean of the three groups",
        caption=f"{published['source']}; published rows are not computed here",
        title_justify="left",
        caption_justify="left",
    )
    for head in ("published router", "published", "here", "called here"):
        table.add_column(head, justify="right" if head in ("published", "here") else "left", no_wrap=True)
    for row in published["rows"]:
        here = row["here"]
        table.add_row(row["router"], f"{row['value']:.2f}", _cell(rows.filter(router=here or "")), here or "-")
    return table


def main_group(rows: pl.DataFrame) -> str:
    """The group to show first: the mean over groups if there is one."""
    groups = rows["group"].unique(maintain_order=True).to_list()
    return "mean" if "mean" in groups else str(groups[0])


def _router_table(evaluation: Evaluation, title: str) -> Table:
    """A table with one row a router: marked if simulated, n, seeds and intervals named below."""
    info, n_seeds = evaluation.info["dataset"], len(evaluation.seeds)
    table = Table(
        title=f"{'SIMULATED DATA: ' if info['simulated'] else ''}{title}",
        caption=f"n = {info['n_test']} test instances x {n_seeds} seed{'s' * (n_seeds > 1)}, 95% bootstrap intervals",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("router", overflow="fold")  # the one column that may break: numbers stay whole
    return table


def _cell(found: pl.DataFrame, apart: str = " ", form: str = ".3f") -> str | Text:
    if found.is_empty():
        return "-"
    value, low, high = found.select("value", "ci_low", "ci_high").row(0)
    return with_interval(value, low, high, form, apart)


def with_interval(value: float, low: float | None, high: float | None, form: str = ".3f", apart: str = " ") -> Text:
    """A number for a terminal, with its interval below where it has one."""
    if low is None or high is None or math.isnan(low + high):
        return Text(f"{value:{form}}")
    return stacked(f"{value:{form}}", f"{low:{form}}{apart}{high:{form}}")
