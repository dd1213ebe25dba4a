"""One self-contained HTML file: the verdict first, then curves, tables, and how it all came about."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import polars as pl

from recroute.evaluation import Evaluation
from recroute.report.old_html_table import comparison_html, fact_table, growth_html, metrics_html, one_pool_html
from recroute.report.old_plot import plot_evaluation
from recroute.report.svg import inline_svg
from recroute.report.table import TITLES, main_group
from recroute.util.arguments import checked
from recroute.util.files import write_text

# No address may be loaded, whatever a name in the data says.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
FIGURES = ("mean_score", "effective_p", "agreement")
TABLES = ("mean_score", "best_single_ratio", "effective_p", "agreement")


@checked
def write_html(evaluation: Evaluation, path: str | Path) -> None:
    """Write the report, whole or not at all."""
    write_text(path, html_page(evaluation))


def html_page(evaluation: Evaluation) -> str:
    """The report as a page that needs nothing else: style, script and figures are in it."""
    return page(f"Routing on {evaluation.info['dataset']['name']}", evaluation_sections(evaluation))


def evaluation_sections(evaluation: Evaluation) -> Iterator[str]:
    """All that there is to tell of an evaluation: head, figures, tables, origin."""
    yield from _head(evaluation)
    yield from _figures(evaluation)
    yield from _tables(evaluation)
    yield from origin_sections(evaluation.info, evaluation.seeds)


def opening(facts: str, *, simulated: bool, interrupted: str | None, verdict: str) -> Iterator[str]:
    """What stands under a title: the facts, banners (`interrupted` says what was finished), and the verdict as HTML."""
    yield f'<p class="facts">{escape(facts)}</p>'
    if simulated:
        yield '<p class="banner"><b>SIMULATED DATA: nothing here says anything about real LLMs.</b></p>'
    if interrupted is not None:
        yield f'<p class="banner">INTERRUPTED: only the {escape(interrupted)} that were finished are here.</p>'
    yield f'<section class="verdict">{verdict}</section>'


def page(title: str, sections: Iterable[str]) -> str:
    """A whole page of these sections, with style and script in it."""
    assets = files("recroute.report").joinpath("assets")
    style, script = (assets.joinpath(f"report.{kind}").read_text(encoding="utf8") for kind in ("css", "js"))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(sections)
        + f"\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def notebook_html(evaluation: Evaluation) -> str:
    """What a notebook shows of an evaluation: no script and no style of its own."""
    first, sizes = main_group(evaluation.rows), evaluation.rows["pool_size"].drop_nulls().n_unique()
    if sizes == 1:
        table = one_pool_html(evaluation, first)
    else:
        table = growth_html(evaluation, evaluation.main_metric, first, sortable=False)
    return "\n".join([*_head(evaluation, level=3), table])


def _head(evaluation: Evaluation, level: int = 1) -> Iterator[str]:
    info = evaluation.info
    data = info["dataset"]
    yield f"<h{level}>Routing on {escape(str(data['name']))}</h{level}>"
    yield from opening(
        _facts(evaluation),
        simulated=data.get("simulated", False),
        interrupted=None if info["complete"] else "pools",
        verdict=html_list(evaluation.sentences() or ["No router was compared with a baseline."]),
    )
    if evaluation.notes:
        yield f'<h{level + 1}>What you should know</h{level + 1}><div class="notes">{html_list(evaluation.notes)}</div>'


def _facts(evaluation: Evaluation) -> str:
    data, n_seeds = evaluation.info["dataset"], len(evaluation.seeds)
    shape = f"{data['n_instances']:,} instances x {data['n_llms']:,} LLMs; " if "n_instances" in data else ""
    test = f"{data['n_test']:,} test instances x " if "n_test" in data else ""
    what = "Verdict: mean over groups and pool sizes where there are several; 1 point is 0.01 of the score."
    return f"{shape}{test}{n_seeds} seed{'s' * (n_seeds != 1)}; 95% bootstrap intervals. {what}"


def html_list(lines: list[str]) -> str:
    """Lines as a list, escaped."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _figures(evaluation: Evaluation) -> Iterator[str]:
    pooled = evaluation.rows.filter(pl.col("seed").is_null(), pl.col("pool_size").is_not_null())
    if pooled.is_empty():
        return
    grows = pooled["pool_size"].n_unique() > 1
    yield f"<h2>{'As the pool grows' if grows else 'Side by side'}</h2>"
    first = main_group(pooled)
    wanted = [(metric, first) for metric in FIGURES]
    wanted += [("mean_score", group) for group in pooled["group"].unique(maintain_order=True) if group != first]
    for number, (metric, group) in enumerate(wanted, 1):
        values = pooled.filter(metric=metric, group=group)["value"].drop_nulls().drop_nans()
        if values.is_empty():
            continue
        title = f"{TITLES.get(metric, metric.replace('_', ' '))}, group {group}"
        marked = "SIMULATED DATA: " if evaluation.info["dataset"].get("simulated") else ""
        axes = plot_evaluation(evaluation, metric, group=group, title=marked + title)
        picture = inline_svg(axes.figure, f"figure{number}", title)
        yield f"<figure>{picture}<figcaption>{_caption(metric)}</figcaption></figure>"


def _caption(metric: str) -> str:
    if metric == "effective_p":
        return (
            "effective_p: the share p at which a router that takes the oracle's choice with probability p, "
            "and a uniform one otherwise, scores as much. 0 is random, 1 the oracle."
        )
    return (
        "Routers in colour, with their 95% intervals where there are few (the tables have all); "
        "bounds, baselines and r_o(p) (oracle_mix) in grey."
    )


def _tables(evaluation: Evaluation) -> Iterator[str]:
    rows = evaluation.rows.filter(pl.col("seed").is_null(), pl.col("pool_size").is_not_null())
    yield "<h2>Tables</h2>"
    yield '<p class="caption">A click on a head sorts. Small numbers are 95% intervals.</p>'
    groups = rows["group"].unique(maintain_order=True).to_list()
    for group in sorted(groups, key=lambda name: name != "mean"):
        present = set(rows.filter(group=group)["metric"])
        for metric in TABLES if group == main_group(rows) else TABLES[:1]:
            if metric in present:
                yield growth_html(evaluation, metric, group)
    if not rows.is_empty():
        yield from metrics_html(evaluation, main_group(rows))
    if evaluation.main_metric in evaluation.comparisons["metric"]:
        yield "<h2>Paired comparisons</h2>"
        yield (
            '<p class="caption">Both routers on the same resampled instances; p is two-sided, Holm corrects it for the '
            "routers compared in that group and pool size.</p>"
        )
        yield from _comparisons(evaluation.comparisons.filter(metric=evaluation.main_metric))
    yield from _published(evaluation)


def _comparisons(found: pl.DataFrame) -> Iterator[str]:
    """The group that the verdict is about; the others one click away."""
    is_main = pl.col("group") == main_group(found)
    yield comparison_html(found.filter(is_main))
    others = found.filter(~is_main)
    if not others.is_empty():
        yield f"<details><summary>The other groups</summary>{comparison_html(others)}</details>"


def _published(evaluation: Evaluation) -> Iterator[str]:
    published: dict[str, Any] | None = evaluation.info.get("published")
    if not published:
        return
    yield "<h2>Published beside it</h2>"
    told = f"{published['source']}: V_B at m = {published['pool_size']}; not computed here."
    yield f'<p class="caption">{escape(told)}</p>'
    yield fact_table({f"{row['router']} ({row['here'] or 'not here'})": row["value"] for row in published["rows"]})


def origin_sections(info: Mapping[str, Any], seeds: list[int]) -> Iterator[str]:
    """How a result came about: everything that is needed to do it again."""
    yield "<h2>How this came about</h2>"
    for run, command in info.get("commands", {"": info.get("command", [])}).items():
        if command:
            yield f"<p>{escape(run)}</p><pre><code>{escape(shlex.join(map(str, command)))}</code></pre>"
    facts = {key.replace("_", " "): value for key, value in info["dataset"].items() if key != "sha256"}
    facts |= {"seeds": ", ".join(map(str, seeds)), "test set": info.get("test_use", "not recorded")}
    yield fact_table(facts)
    for title, key in (("Versions", "environment"), ("SHA-256 of each seed's split", "splits")):
        yield f"<h3>{title}</h3>{fact_table(info[key]) if info.get(key) else '<p>not recorded</p>'}"
    digests = info["dataset"].get("sha256")
    yield f"<h3>SHA-256 of the data</h3>{fact_table(digests) if digests else '<p>not recorded</p>'}"
    if routers := info.get("routers"):
        settings = {
            label: ", ".join(f"{k}={v}" for k, v in found.items() if k not in ("name", "seed"))
            for label, found in routers.items()
        }
        yield f"<h3>Routers</h3>{fact_table(settings)}"
