"""A learning curve as a table, a plot in the terminal, a picture and one HTML file."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import polars as pl
from rich.table import Table
from rich.text import Text

from recroute.evaluation import LearningCurve
from recroute.report.old_html import html_list, opening, origin_sections, page
from recroute.report.old_html_table import Number, html_table
from recroute.report.old_plot import plot_growth, save_axes
from recroute.report.old_terminal_plot import growth_plot
from recroute.report.svg import inline_svg
from recroute.report.table import TITLES, with_interval
from recroute.util.files import write_text

X_LABEL = "training instances"


def learning_table(found: LearningCurve, metric: str = "mean_score") -> Table:
    """Routers by number of training instances, and from which on each beats the baseline."""
    rows = found.curve(metric)
    sizes = rows["n_train"].unique().sort().to_list()
    table = Table(
        title=f"{_marked(found)}{TITLES.get(metric, metric)} by {X_LABEL}, {_where(rows)}",
        caption=f"n = {found.info['dataset']['n_test']} test instances x {len(found.seeds)} "
        f"seed{'s' * (len(found.seeds) > 1)}, 95% bootstrap intervals; {_rule(found)}",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("router", overflow="fold")
    for size in sizes:
        table.add_column(f"{size:,}", justify="right", no_wrap=True)
    table.add_column("ahead from", justify="right")
    clear = dict(found.enough(metric).select("router", "n_train_clear").iter_rows())
    for router in rows["router"].unique(maintain_order=True):
        cells = [_cell(rows.filter(router=router, n_train=size)) for size in sizes]
        told = "" if router not in clear else "never" if clear[router] is None else f"{clear[router]:,}"
        table.add_row(router, *cells, told)
    return table


def learning_plot(found: LearningCurve, metric: str = "mean_score") -> Text:
    """The curve for a terminal, one letter for each router."""
    return growth_plot(_as_growth(found, metric), metric=metric, x_label=X_LABEL)


def plot_learning(found: LearningCurve, metric: str = "mean_score", **options: Any) -> Any:
    """A metric against the number of training instances, drawn as `plot_growth` draws pool sizes. Returns the axes."""
    rows = _as_growth(found, metric)
    title = f"{_marked(found)}{found.info['dataset']['name']}, {_where(found.curve(metric))}"
    return plot_growth(rows, **{"metric": metric, "title": title, "x_label": X_LABEL, **options})


def save_learning_png(found: LearningCurve, path: Path) -> None:
    """Write `plot_learning` as a PNG file of 150 dpi, whole or not at all."""
    save_axes(plot_learning(found), path)


def write_learning_html(found: LearningCurve, path: Path) -> None:
    """Write the report as one HTML file, whole or not at all."""
    title = f"Learning curves on {found.info['dataset']['name']}"
    write_text(path, page(title, _sections(found)))


def learning_notebook(found: LearningCurve) -> str:
    """What a notebook shows: the verdict and the table of mean scores."""
    return "\n".join([*_head(found, 3), _table_html(found, "mean_score", sortable=False)])


def _head(found: LearningCurve, level: int) -> Iterator[str]:
    data = found.info["dataset"]
    yield f"<h{level}>Learning curves on {escape(str(data['name']))}</h{level}>"
    told = (
        f"{data['n_instances']:,} instances x {data['n_llms']:,} LLMs; up to {data['n_train']:,} training instances; "
        f"{data['n_test']:,} test instances x {len(found.seeds)} seed{'s' * (len(found.seeds) != 1)}; 95% bootstrap "
        "intervals."
    )
    yield from opening(
        told,
        simulated=data.get("simulated", False),
        interrupted=None if found.info["complete"] else "training sets",
        verdict=f"{html_list(found.sentences())}<p>{escape(_rule(found))}</p>",
    )
    if found.notes:
        yield f'<h{level + 1}>What you should know</h{level + 1}><div class="notes">{html_list(found.notes)}</div>'


def _sections(found: LearningCurve) -> Iterator[str]:
    yield from _head(found, 1)
    yield "<h2>As the training data grow</h2>"
    for metric in ("mean_score", "lift"):
        title = f"{TITLES[metric]}, {_where(found.curve(metric))}"
        picture = inline_svg(plot_learning(found, metric).figure, f"learning-{metric}", title)
        yield f"<figure>{picture}<figcaption>{escape(title)}</figcaption></figure>"
    yield "<h2>Tables</h2>"
    for metric in ("mean_score", "best_single_ratio", "lift"):
        yield _table_html(found, metric)
    yield "<h2>How much is enough</h2>"
    body: list[list[str | Number]] = [
        [
            row["router"],
            row["baseline"],
            Number(row["n_train"], form=",d", missing="never"),
            Number(row["value"], form="+.4f"),
            Number(row["n_train_clear"], form=",d", missing="never"),
        ]
        for row in found.enough().iter_rows(named=True)
    ]
    heads = ["router", "baseline", "interval first above 0 at", "by", "ahead from there on, corrected"]
    yield html_table(heads, body, text=2)
    yield from origin_sections(found.info, found.seeds)


def _table_html(found: LearningCurve, metric: str, sortable: bool = True) -> str:
    rows = found.curve(metric)
    sizes = rows["n_train"].unique().sort().to_list()
    body: list[list[str | Number]] = []
    for router in rows["router"].unique(maintain_order=True):
        own = {row["n_train"]: row for row in rows.filter(router=router).iter_rows(named=True)}
        cells = [Number(own[n]["value"], own[n]["ci_low"], own[n]["ci_high"]) for n in sizes if n in own]
        body.append([router, *cells])
    heads = ["router", *(f"{size:,}" for size in sizes)]
    return html_table(heads, body, caption=f"{TITLES[metric]}, {_where(rows)}", sortable=sortable)


def _as_growth(found: LearningCurve, metric: str) -> pl.DataFrame:
    """Rows whose size is that of the training set, for the plots of growing pools."""
    return found.curve(metric).with_columns(pool_size=pl.col("n_train"))


def _where(rows: pl.DataFrame) -> str:
    group, size = rows.select("group", "pool_size").row(0)
    pools = "mean over pool sizes" if size is None else f"m = {size:,}"
    return f"{pools}, {'mean over groups' if group == 'mean' else f'group {group}'}"


def _rule(found: LearningCurve) -> str:
    baseline = found.comparisons["baseline"][0]
    return (
        f"ahead: above {baseline} fitted on the same instances, p < .05 after Holm's correction for all routers and "
        "training sets, there and at every larger one"
    )


def _marked(found: LearningCurve) -> str:
    return "SIMULATED DATA: " if found.info["dataset"].get("simulated") else ""


def _cell(rows: pl.DataFrame) -> str | Text:
    if rows.is_empty():
        return "-"
    return with_interval(*rows.select("value", "ci_low", "ci_high").row(0))
