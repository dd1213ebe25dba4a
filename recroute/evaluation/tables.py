"""Tables of an evaluation for every medium: by pool size, by metric, and comparisons with the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from recroute.experiment.compare import is_yardstick
from recroute.experiment.result import Result
from recroute.metrics import METRICS
from recroute.report.document import Cell, Medium, Number, Table
from recroute.routers.trade_off import PROMPTS

MAIN_METRICS = [m.name for m in sorted(METRICS.values(), key=lambda m: m.column) if m.column]
ROUTERS_PER_TABLE = 12  # columns that fit a page
FORMATS = {"slope": "+.4f", "lift": "+.3f"}


def title_of(metric: str) -> str:
    """Name of a metric in captions."""
    return METRICS[metric].title if metric in METRICS else metric.replace("_", " ")


def head_of(metric: str) -> str:
    """Name of a metric in column heads."""
    return METRICS[metric].head if metric in METRICS else metric.replace("_", " ")


def main_group(rows: pl.DataFrame) -> str:
    """Group to show first: the mean over groups if there is one."""
    groups = rows["group"].unique(maintain_order=True).to_list()
    return "mean" if "mean" in groups else str(groups[0])


def soft(routers: list[str]) -> list[str]:
    """Bounds and baselines among the routers, which tables print dimmed."""
    return [label for label in routers if is_yardstick(label)]


def growth_table(found: Result, metric: str, group: str, on: Medium = Medium.ALL) -> Table:
    """Table of one metric for routers by pool size, and the slope of mu."""
    rows = found.rows.filter(pl.col("seed").is_null(), group=group)
    of = _cells(rows)
    sizes = sorted(rows.filter(metric=metric)["pool_size"].drop_nulls().unique().to_list())
    keys: list[tuple[str, int | None]] = [(metric, size) for size in sizes]
    heads = ["router", *(f"m = {size:,}" for size in sizes)]
    if metric == "mean_score" and "slope" in rows["metric"]:
        keys.append(("slope", None))
        heads.append("slope on log2 m")
    routers = [name for name in _routers(rows) if any((name, metric, size) in of for size in sizes)]
    return Table(
        title=f"{title_of(metric)}, group {group}",
        heads=heads,
        rows=[[name, *(of.get((name, *key), Number(None)) for key in keys)] for name in routers],
        caption=found.counted(),
        soft=soft(routers),
        on=on,
    )


def metric_table(found: Result, group: str, on: Medium = Medium.ALL) -> Table:
    """Table of the main metrics for routers on one pool, and their costs if known."""
    rows = found.rows.filter(pl.col("seed").is_null(), pl.col("pool_size").is_not_null(), group=group)
    there, of, data = set(rows["metric"]), _cells(rows), found.info["dataset"]
    priced = "mean_cost" in there
    # the cost column takes the place of choice_entropy
    metrics = [name for name in MAIN_METRICS if name in there and not (priced and name == "choice_entropy")]
    heads = ["router", *map(head_of, metrics), *["cost of 1,000"] * priced]
    (size,) = rows["pool_size"].unique()
    body: list[list[Cell]] = []
    for router in _routers(rows):
        cells: list[Cell] = [router, *(of.get((router, metric, size), Number(None)) for metric in metrics)]
        if priced:
            spent = next(rows.filter(router=router, metric="mean_cost").iter_rows(named=True), None)
            cells.append(Number.of(spent, ".4g", PROMPTS))
        body.append(cells)
    title = f"{data['name']}: {size:,} LLMs{f', group {group}' if group != 'all' else ''}"
    caption = found.counted(None if group in ("all", "mean") else max(rows["n_instances"].to_list()))
    return Table(title=title, heads=heads, rows=body, caption=caption, soft=soft(_routers(rows)), on=on)


def all_metrics(found: Result, group: str) -> Iterator[Table]:
    """All metrics of a group without intervals: a row per metric and pool size, a column per router.

    One table, or several of equal width if there are more routers than fit a page.
    """
    rows = found.rows.filter(pl.col("seed").is_null(), pl.col("pool_size").is_not_null(), group=group)
    # oracle and random have columns already, and as metrics they are equal for all routers
    metrics = [name for name in rows["metric"].unique(maintain_order=True) if name not in ("oracle", "random")]
    of, sizes, routers = _cells(rows), sorted(rows["pool_size"].unique().to_list()), _routers(rows)
    name_of = head_of if len(sizes) > 1 else title_of
    for part in np.array_split(routers, -(-len(routers) // ROUTERS_PER_TABLE)):
        body: list[list[Cell]] = [
            [name_of(name), Number(size, form=",d"), *(_bare(of.get((router, name, size))) for router in part)]
            for name in metrics
            for size in sizes
        ]
        yield Table(heads=["metric", "m", *part.tolist()], rows=body, ruled=len(sizes) > 1, on=Medium.PAGE)


def comparison_table(pairs: pl.DataFrame) -> Table:
    """Table of paired differences to a baseline, from rows of `Evaluation.comparisons` of one metric."""
    # the mean over sizes, which the verdict states, comes first
    pairs = pairs.sort(pl.col("pool_size").is_not_null(), maintain_order=True)
    body: list[list[Cell]] = [
        [
            row["router"],
            row["baseline"],
            row["group"],
            Number(row["pool_size"], form=",d", missing="mean"),
            Number.of(row, "+.4f"),
            Number(row["p_value"], form=".4f"),
            Number(row["p_holm"], form=".4f"),
        ]
        for row in pairs.iter_rows(named=True)
    ]
    difference = f"difference in {head_of(pairs['metric'][0])}"
    heads = ["router", "baseline", "group", "pool size", difference, "p", "p (Holm)"]
    return Table(heads=heads, rows=body, soft=soft(_routers(pairs)), on=Medium.PAGE)


def published_table(found: Result, published: Mapping[str, Any]) -> Table:
    """Table of RouterEval's published baselines and the same routers in this run."""
    where = {key: published[key] for key in ("group", "pool_size")}
    body: list[list[Cell]] = [
        [
            row["router"],
            Number(row["value"], form=".2f"),
            Number.of(found.row(published["metric"], router=row["here"] or "", **where)),
            row["here"] or "-",
        ]
        for row in published["rows"]
    ]
    return Table(
        title=f"V_B published for {published['benchmark']}, m = {published['pool_size']}, mean of the three groups",
        heads=["published router", "published", "here", "name here"],
        rows=body,
        caption=f"{published['source']}; published rows are not computed here",
        on=Medium.SCREEN | Medium.PAGE,
    )


def _routers(rows: pl.DataFrame) -> list[str]:
    return rows["router"].unique(maintain_order=True).to_list()


def _cells(rows: pl.DataFrame) -> dict[tuple[str, str, int | None], Number]:
    """Numbers by router, metric and pool size."""
    return {
        (row["router"], row["metric"], row["pool_size"]): Number.of(row, FORMATS.get(row["metric"], ".3f"))
        for row in rows.iter_rows(named=True)
    }


def _bare(number: Number | None) -> Number:
    """Number without its interval."""
    return Number(None) if number is None else Number(number.value, form=number.form)
