"""Tables of an HTML report; every cell is escaped, and every number carries its value for sorting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import polars as pl

from recroute.evaluation import Evaluation
from recroute.experiment.compare import is_yardstick
from recroute.report.table import HEADS, MAIN_METRICS

METRICS_ABREAST = 10  # columns of a table that fit a printed page
FORMATS = {"slope": "+.4f", "lift": "+.3f"}


@dataclass(frozen=True)
class Number:
    """A number with its interval, as a cell; NaN or none is shown as a dash and sorts last."""

    value: float | None
    low: float | None = None
    high: float | None = None
    form: str = ".3f"
    missing: str = "-"

    def bare(self) -> Number:
        """Without its interval."""
        return Number(self.value, form=self.form)

    def html(self) -> str:
        if self.value is None or math.isnan(self.value):
            return f"<td>{self.missing}</td>"
        shown = f"{self.value:{self.form}}"
        if self.low is not None and self.high is not None and not math.isnan(self.low + self.high):
            shown += f" <small>{self.low:{self.form}} to {self.high:{self.form}}</small>"
        return f'<td data-value="{self.value!r}">{shown}</td>'


def html_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str | Number]],
    *,
    caption: str = "",
    text: int = 1,
    sortable: bool = True,
) -> str:
    """A table whose first `text` columns are words and whose others are numbers.

    A row whose first cell is a bound or baseline is printed softer. A notebook has neither the style nor the script
    of a page: there a table is not `sortable`, words may stand in any column, and the notebook chooses the colours.
    """
    if not sortable:
        return _plain_table(heads, list(rows), caption)
    head = "".join(
        f'<th scope="col"{" class=text" if i < text else ""}><button type="button">{escape(name)}</button></th>'
        for i, name in enumerate(heads)
    )
    body = "\n".join(
        f"<tr{' class=bound' if is_yardstick(str(row[0])) else ''}>{''.join(_cell(cell) for cell in row)}</tr>"
        for row in rows
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table class="sortable">{title}<thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _plain_table(heads: Sequence[str], rows: Sequence[Sequence[str | Number]], caption: str) -> str:
    left = ' style="text-align: left"'
    head = "".join(
        f"<th{left if rows and isinstance(rows[0][i], str) else ''}>{escape(name)}</th>" for i, name in enumerate(heads)
    )
    lines = (
        "".join(cell.html() if isinstance(cell, Number) else f"<td{left}>{escape(cell)}</td>" for cell in row)
        for row in rows
    )
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    title = f"<p>{escape(caption)}</p>" if caption else ""
    return f"{title}<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def fact_table(facts: Mapping[str, Any]) -> str:
    """Names and values, one line each."""
    rows = (
        f'<tr><td class="text">{escape(str(key))}</td><td class="wrap"><code>{escape(str(value))}</code></td></tr>'
        for key, value in facts.items()
    )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def growth_html(evaluation: Evaluation, metric: str, group: str, *, sortable: bool = True) -> str:
    """Routers by pool size for one metric and group; with the slope where the metric is mu."""
    rows = _pooled(evaluation).filter(group=group)
    sizes = sorted(rows.filter(metric=metric)["pool_size"].drop_nulls().unique().to_list())
    of = _lookup(rows)
    slopes = metric == "mean_score" and any(key[1] == "slope" for key in of)
    heads = ["router", *(f"m = {size:,}" for size in sizes), *(["slope on log2 m"] if slopes else [])]
    body: list[list[str | Number]] = []
    for router in _routers(rows):
        cells = [of.get((router, metric, size), Number(None)) for size in sizes]
        if all(cell.value is None for cell in cells):
            continue
        body.append([router, *cells, *([of.get((router, "slope", None), Number(None))] if slopes else [])])
    caption = f"{HEADS.get(metric, metric.replace('_', ' '))}, group {group}"
    return html_table(heads, body, caption=caption, sortable=sortable)


def one_pool_html(evaluation: Evaluation, group: str) -> str:
    """Routers by the main metrics, for one pool, as a notebook shows it."""
    rows = _pooled(evaluation).filter(pl.col("pool_size").is_not_null(), group=group)
    there = set(rows["metric"])
    metrics = [name for name in MAIN_METRICS if name in there]
    (size,) = rows["pool_size"].unique()
    of = _lookup(rows)
    body: list[list[str | Number]] = [
        [router, *(of.get((router, metric, size), Number(None)) for metric in metrics)] for router in _routers(rows)
    ]
    heads = ["router", *(HEADS.get(name, name.replace("_", " ")) for name in metrics)]
    return html_table(heads, body, caption=f"pool of {size:,} LLMs, 95% intervals", sortable=False)


def metrics_html(evaluation: Evaluation, group: str) -> list[str]:
    """Every metric of every router and pool size of a group, without intervals, in tables that fit a page."""
    rows = _pooled(evaluation).filter(pl.col("pool_size").is_not_null(), group=group)
    # Oracle and random are rows already: as metrics they say the same of every router.
    metrics = [name for name in rows["metric"].unique(maintain_order=True) if name not in ("oracle", "random")]
    of = _lookup(rows)
    tables = []
    for start in range(0, len(metrics), METRICS_ABREAST):
        part = metrics[start : start + METRICS_ABREAST]
        body: list[list[str | Number]] = [
            [router, Number(size, form=",d"), *(of.get((router, name, size), Number(None)).bare() for name in part)]
            for size in sorted(rows["pool_size"].unique().to_list())
            for router in _routers(rows.filter(pool_size=size))
        ]
        heads = ["router", "m", *(HEADS.get(name, name.replace("_", " ")) for name in part)]
        tables.append(html_table(heads, body, caption=f"all metrics, group {group}"))
    return tables


def comparison_html(found: pl.DataFrame) -> str:
    """Paired differences to a baseline: rows of `Evaluation.comparisons` of one metric."""
    # The mean over sizes, which the verdict tells, comes first.
    found = found.sort(pl.col("pool_size").is_not_null(), maintain_order=True)
    body: list[list[str | Number]] = [
        [
            row["router"],
            row["baseline"],
            row["group"],
            Number(row["pool_size"], form=",d", missing="mean"),
            Number(row["value"], row["ci_low"], row["ci_high"], form="+.4f"),
            Number(row["p_value"], form=".4f"),
            Number(row["p_holm"], form=".4f"),
        ]
        for row in found.iter_rows(named=True)
    ]
    heads = ["router", "baseline", "group", "pool size", "difference in mu", "p", "p (Holm)"]
    return html_table(heads, body, text=3)


def _pooled(evaluation: Evaluation) -> pl.DataFrame:
    return evaluation.rows.filter(pl.col("seed").is_null())


def _routers(rows: pl.DataFrame) -> list[str]:
    return rows["router"].unique(maintain_order=True).to_list()


def _lookup(rows: pl.DataFrame) -> dict[tuple[str, str, int | None], Number]:
    """Cell of each router, metric and size."""
    columns = rows.select("router", "metric", "pool_size", "value", "ci_low", "ci_high")
    return {
        (router, metric, size): Number(value, low, high, FORMATS.get(metric, ".3f"))
        for router, metric, size, value, low, high in columns.iter_rows()
    }


def _cell(cell: str | Number) -> str:
    return cell.html() if isinstance(cell, Number) else f'<td class="text">{escape(cell)}</td>'
