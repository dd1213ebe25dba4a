"""An off-policy evaluation as a table, in a terminal and in a notebook."""

from __future__ import annotations

from html import escape

import polars as pl
from rich.table import Table
from rich.text import Text

from recroute.offpolicy import OffPolicy
from recroute.report.old_html import html_list, opening
from recroute.report.old_html_table import Number, html_table
from recroute.report.table import with_interval

HEADS = {"ips": "IPS", "snips": "SNIPS", "dr": "doubly robust"}


def off_policy_table(found: OffPolicy) -> Table:
    """Routers by estimator, with the difference to what was logged and how much of the log speaks of each."""
    info = found.info["dataset"]
    table = Table(
        title=f"{'SIMULATED DATA: ' if info['simulated'] else ''}{info['name']}: mean score, estimated from the log",
        caption=f"n = {info['n_instances']} logged choices among {info['n_llms']} LLMs, 95% intervals; reward model of "
        f"the doubly robust estimate: {found.info['reward_model']}",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("router", overflow="fold")
    for head in (*HEADS.values(), "dr - logged", "effective n", "heaviest"):
        table.add_column(head, justify="right", no_wrap=True)
    for router in found.rows["router"].unique(maintain_order=True):
        rows = found.rows.filter(router=router)
        score = rows.filter(metric="mean_score")
        if "mean" in score["estimator"]:
            table.add_row(router, "", "", _cell(score), "", "", "", end_section=True)
            continue
        pairs = found.comparisons.filter(router=router, estimator="dr")
        table.add_row(
            router,
            *(_cell(score.filter(estimator=name)) for name in HEADS),
            _cell(pairs, form="+.3f"),
            f"{_value(rows, 'effective_n'):.0f}",
            f"{_value(rows, 'largest_weight'):.1%}",
        )
    return table


def off_policy_notebook(found: OffPolicy) -> str:
    """What a notebook shows: the verdict, the notes, and routers by estimator."""
    info = found.info["dataset"]
    told = f"{info['n_instances']:,} logged choices among {info['n_llms']:,} LLMs; 95% intervals."
    heads = ["router", *HEADS.values(), "effective n"]
    body: list[list[str | Number]] = []
    for router in found.rows["router"].unique(maintain_order=True):
        rows = found.rows.filter(router=router)
        score = rows.filter(metric="mean_score")
        if "mean" in score["estimator"]:
            body.append([router, Number(None), Number(None), _number(score), Number(None)])
            continue
        cells = [_number(score.filter(estimator=name)) for name in HEADS]
        body.append([router, *cells, Number(_value(rows, "effective_n"), form=".0f")])
    title = f"<h3>Mean score on {escape(str(info['name']))}, estimated from its log</h3>"
    verdict = html_list(found.sentences())
    head = opening(told, simulated=info["simulated"], interrupted=None, verdict=verdict)
    return "\n".join([title, *head, html_list(found.notes), html_table(heads, body, sortable=False)])


def _number(rows: pl.DataFrame) -> Number:
    return Number(*rows.select("value", "ci_low", "ci_high").row(0))


def _value(rows: pl.DataFrame, metric: str) -> float:
    return float(rows.filter(metric=metric)["value"][0])


def _cell(rows: pl.DataFrame, form: str = ".3f") -> Text:
    value, low, high = rows.select("value", "ci_low", "ci_high").row(0)
    return with_interval(value, low, high, form)
