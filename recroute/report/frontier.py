"""A frontier as tables, and as one HTML file."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import polars as pl
from rich.table import Table
from rich.text import Text

from recroute.evaluation import Frontier
from recroute.evaluation.frontier_result import PROMPTS
from recroute.evaluation.frontier_rows import COMPARED
from recroute.report.frontier_curves import single_llms
from recroute.report.frontier_plot import plot_frontier
from recroute.report.old_html import html_list, opening, origin_sections, page
from recroute.report.old_html_table import Number, html_table
from recroute.report.stacked import stacked
from recroute.report.svg import notebook_svg
from recroute.report.table import with_interval
from recroute.util.files import write_text

HEADS = {
    "aiq": "AIQ",
    "cost_at_quality@95": "cost at 95%",
    "cost_at_quality@100": "cost at 100%",
    "mean_score": "mu, cost ignored",
    "mean_cost": "its cost",
}


def frontier_tables(found: Frontier) -> list[Table]:
    """Routers by the metrics of their curves, and the single LLMs that no mixture of others beats on test."""
    data, n_seeds = found.info["dataset"], len(found.info["splits"])
    marked = "SIMULATED DATA: " if data["simulated"] else ""
    table = Table(title=f"{marked}{data['name']}: what quality costs", title_justify="left")
    table.caption = (
        f"n = {_n(found)} test instances x {n_seeds} seed{'s' * (n_seeds > 1)}, 95% bootstrap intervals; costs are "
        f"{found.unit} per 1,000 prompts, at 95% and 100% of the quality of {found.best_single}"
    )
    table.caption_justify = "left"
    table.add_column("router", overflow="fold")
    for head in HEADS.values():
        table.add_column(head, justify="right", no_wrap=True)
    for router in found.pooled("aiq"):
        table.add_row(router, *(_cell(found, metric, router) for metric in HEADS))
    llms = Table(title="single LLMs on their hull (test)", title_justify="left")
    for head in ("LLM", "mean score", "cost"):
        llms.add_column(head, justify="left" if head == "LLM" else "right", overflow="fold")
    for row in single_llms(found).filter("on_hull").iter_rows(named=True):
        llms.add_row(
            row["router"],
            with_interval(row["mean_score"], row["score_low"], row["score_high"], ".3f"),
            with_interval(row["mean_cost"], row["cost_low"], row["cost_high"], ".4g"),
        )
    return [table, llms]


def write_frontier_html(found: Frontier, path: Path) -> None:
    """Write the report as one HTML file, whole or not at all."""
    write_text(path, page(f"What quality costs on {found.info['dataset']['name']}", frontier_sections(found)))


def frontier_notebook(found: Frontier) -> str:
    """What a notebook shows: the verdict, the figure and the routers' table."""
    picture = notebook_svg(plot_frontier(found).figure, "frontier", "score against cost")
    return "\n".join([*_head(found, 3), picture, _router_table(found, sortable=False)])


def _head(found: Frontier, level: int) -> Iterator[str]:
    data, n_seeds = found.info["dataset"], len(found.info["splits"])
    yield f"<h{level}>What quality costs on {escape(str(data['name']))}</h{level}>"
    told = (
        f"{data['n_instances']:,} instances x {data['n_llms']:,} LLMs; {_n(found):,} test instances x {n_seeds} "
        f"seed{'s' * (n_seeds != 1)}; 95% bootstrap intervals. Costs are {found.unit} per 1,000 prompts."
    )
    yield from opening(
        told,
        simulated=data["simulated"],
        interrupted=None if found.info["complete"] else "seeds",
        verdict=html_list(found.sentences()),
    )


def frontier_sections(found: Frontier) -> Iterator[str]:
    """All that there is to tell: verdict, figure, tables, origin."""
    yield from _head(found, 1)
    yield f'<h2>What you should know</h2><div class="notes">{html_list(found.notes)}</div>'
    caption = (
        "Each curve is the concave hull of a router's choices as cost counts more and more; between two points lie "
        "the mixtures of both. Routers in colour with their 95% band; zero (mixtures of single LLMs), best_single and "
        "the oracle in grey; crosses are single LLMs. AIQ is the mean height of a curve from the cheapest LLM's cost "
        "to the dearest's, on a linear axis."
    )
    picture = notebook_svg(plot_frontier(found).figure, "frontier", "score against cost")
    yield f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"
    yield "<h2>Routers</h2>"
    best = f"Costs at 95% and 100% of the quality of the best single LLM on test, {found.best_single}."
    yield f'<p class="caption">{escape(best)} A click on a head sorts. Small numbers are 95% intervals.</p>'
    yield _router_table(found)
    yield "<h2>Single LLMs</h2>"
    yield html_table(["LLM", "mean score", "cost", "on their hull"], _llm_rows(found))
    yield "<h2>Paired comparisons</h2>"
    yield (
        '<p class="caption">Both routers on the same resampled instances, over the resamples in which both get there; '
        "p is two-sided, Holm corrects it for the routers compared with that baseline.</p>"
    )
    for metric in (name for name in HEADS if name in COMPARED):
        yield _compared_html(found.comparisons.filter(metric=metric), metric)
    yield from origin_sections(found.info, found.seeds)


def _router_table(found: Frontier, sortable: bool = True) -> str:
    rows: list[list[str | Number]] = [
        [router, *(_number(found, metric, router) for metric in HEADS)] for router in found.pooled("aiq")
    ]
    return html_table(["router", *HEADS.values()], rows, sortable=sortable)


def _llm_rows(found: Frontier) -> Iterator[list[str | Number]]:
    for row in single_llms(found).iter_rows(named=True):
        yield [
            row["router"],
            Number(row["mean_score"], row["score_low"], row["score_high"]),
            Number(row["mean_cost"], row["cost_low"], row["cost_high"], ".4g"),
            Number(1.0 if row["on_hull"] else None, form=".0f", missing=""),
        ]


def _compared_html(found: pl.DataFrame, metric: str) -> str:
    times, form = (1, "+.4f") if metric == "aiq" else (PROMPTS, "+.4g")
    rows: list[list[str | Number]] = [
        [
            row["router"],
            row["baseline"],
            Number(times * row["value"], times * row["ci_low"], times * row["ci_high"], form),
            Number(row["p_holm"], form=".4f"),
        ]
        for row in found.iter_rows(named=True)
    ]
    heads = ["router", "against", f"difference in {HEADS[metric]}", "p (Holm)"]
    return html_table(heads, rows, caption=HEADS[metric], text=2)


def _n(found: Frontier) -> int:
    return int(found.rows["n_instances"][0])


def _row(found: Frontier, metric: str, router: str) -> tuple[dict[str, Any], float, str]:
    """The row of a metric, what to multiply it with, and its format."""
    money = metric.startswith(("cost", "mean_cost"))
    return found.pooled(metric)[router], PROMPTS if money else 1.0, ".4g" if money else ".3f"


def _is_known(row: dict[str, Any]) -> bool:
    """Whether a curve has the value: a quality may not be reached, and where all LLMs cost the same there is no AIQ."""
    return row["value"] is not None and row["value"] == row["value"]


def _cell(found: Frontier, metric: str, router: str) -> str | Text:
    row, times, form = _row(found, metric, router)
    if not _is_known(row):
        reached = found.pooled(f"reached@{metric.partition('@')[2]}").get(router)
        return "-" if reached is None else stacked("-", f"in {reached['value']:.0%} of resamples")
    return with_interval(times * row["value"], times * row["ci_low"], times * row["ci_high"], form)


def _number(found: Frontier, metric: str, router: str) -> Number:
    row, times, form = _row(found, metric, router)
    if not _is_known(row):
        return Number(None)
    return Number(times * row["value"], times * row["ci_low"], times * row["ci_high"], form)
