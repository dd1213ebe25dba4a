"""The page of an evaluation: well-formed, escaped, sortable, and nothing in it leaves the page."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset
from recroute.data.sources import simulate
from recroute.evaluation.combine import combine
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.run import evaluate, scale
from recroute.evaluation.tables import all_metrics
from recroute.report.document import Number
from recroute.report.html import page as page_of
from recroute.report.shown import write_html
from recroute.routers import make_router
from recroute.testing import planted_dataset

VOID = {"meta", "br", "wbr", "hr", "img", "input", "link"}
EVIL = "<script>alert('x')</script>$&"


class Page(HTMLParser):
    """Refuses tags that are not closed in order; collects what a test asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.ids += [value or "" for key, value in attrs if key == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def html_page(found: Evaluation) -> str:
    return page_of(found.document())


def evil_dataset() -> Dataset:
    """Planted data whose name, first LLM and task are markup."""
    data = planted_dataset()
    llms = data.llms.with_columns(pl.col("llm_id").replace({"llm-0": EVIL}))
    instances = data.instances.with_columns(pl.lit(EVIL).alias("task"))
    return dataclasses.replace(data, name=EVIL, llms=llms, instances=instances)


@pytest.fixture(scope="module")
def grown() -> Evaluation:
    data = simulate(n_llms=30, n_instances=200)
    return scale(data, ["svd"], pool_sizes=[3, 10, 30], groups=["nested"], reference="0.5", n_resamples=20)


def test_the_page_is_well_formed_and_says_it_all(grown: Evaluation) -> None:
    found = grown.with_info(command=["recroute", "scale", "my data"])
    page = Page(html_page(found))
    assert len(page.ids) == len(set(page.ids))
    for sentence in grown.sentences():
        assert sentence in page.text
    for needed in ("SIMULATED DATA", "recroute scale 'my data'", "numpy", grown.info["splits"]["0"], "reference LLM"):
        assert needed in page.text
    assert [tag for tag, _ in page.tags].count("svg") == 2


def test_nothing_leaves_the_page(grown: Evaluation) -> None:
    text = html_page(grown)
    assert not re.search(r"https?:|//\w|@import|url\((?!#)", text)
    for tag, attributes in Page(text).tags:
        assert tag not in ("link", "img", "iframe", "object", "form")
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")


def test_references_within_figures_point_at_ids_that_exist(grown: Evaluation) -> None:
    text = html_page(grown)
    ids = set(Page(text).ids)
    used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text))
    assert used
    assert {a or b for a, b in used} <= ids


def test_names_are_escaped() -> None:
    found = evaluate(evil_dataset(), ["svd"], reference=EVIL, n_resamples=20)
    hostile = found.with_info(notes=[EVIL], command=["recroute", EVIL], routers={EVIL: {"name": EVIL, "reg": EVIL}})
    rows = hostile.rows.with_columns(pl.col("router").replace({"svd": EVIL}))
    page = Page(html_page(dataclasses.replace(hostile, rows=rows)))
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert page.text.count(EVIL) >= 6


def test_other_groups_are_one_click_away() -> None:
    found = scale(planted_dataset(), ["svd"], pool_sizes=[2, 4], groups=["nested", "all_strong"], n_resamples=20)
    text = html_page(found)
    page, folded = Page(text), re.findall("<details>.*?</details>", text, flags=re.DOTALL)
    assert [tag for tag, _ in page.tags].count("svg") == 4  # mu and effective_p of the mean, mu of each group
    assert "mean score (mu), group mean" in page.text
    assert ["group all_strong" in details for details in folded] == [True, False, False]
    assert '<td class="text">all_strong</td>' in folded[-1]
    assert not any("mean score (mu), group mean" in details for details in folded)


def test_all_metrics_are_in_one_table_with_a_column_per_router() -> None:
    found = evaluate(planted_dataset(), ["svd"], n_resamples=20)
    (table,) = all_metrics(found, "all")
    routers = found.rows["router"].unique(maintain_order=True).to_list()
    assert list(table.heads) == ["metric", "m", *routers]
    values = {row[0]: row[table.heads.index("svd")] for row in table.rows}
    assert values["regret"] == Number(found.value("svd", "regret"))
    assert {"mean score (mu)", "ndcg@3", "gini"} <= set(values)


def test_more_routers_than_fit_a_page_are_in_tables_of_equal_width() -> None:
    found = evaluate(planted_dataset(), [make_router("knn", n_neighbors=k) for k in range(1, 10)], n_resamples=5)
    first, second = all_metrics(found, "all")
    assert abs(len(first.heads) - len(second.heads)) <= 1
    assert [*first.heads, *second.heads[2:]][2:] == found.rows["router"].unique(maintain_order=True).to_list()


def test_tables_of_held_out_tasks_say_how_many_instances_each_has() -> None:
    data = simulate(n_llms=5, n_instances=120)
    page = Page(html_page(evaluate(data, [], holdout="task", n_resamples=20)))
    assert "n = 120 test instances" in page.text
    for size in np.unique(data.tasks, return_counts=True)[1]:
        assert f"n = {size} test instances" in page.text


def test_costs_have_a_column() -> None:
    found = evaluate(planted_dataset(costs=True), ["svd"], n_resamples=20)
    row = found.row("mean_cost", router="svd")
    assert row is not None
    shown = Page(found._repr_html_()).text
    assert "cost of 1,000" in shown
    assert f"{1000 * row['value']:.4g}" in shown
    assert "choice entropy" not in shown


def test_one_pool_is_drawn_side_by_side_and_a_notebook_shows_it() -> None:
    found = evaluate(simulate(n_llms=5, n_instances=80), ["svd"], n_resamples=20)
    assert "Side by side" in Page(html_page(found)).text
    shown = Page(found._repr_html_())
    assert "SIMULATED DATA" in shown.text
    assert "script" not in {tag for tag, _ in shown.tags}
    assert "svd" in [label.get_text() for label in found.plot().get_yticklabels()]
    assert found.to_polars() is found.rows
    assert found.to_pandas().shape == found.rows.shape


def test_an_interrupted_run_is_marked_and_nothing_pooled_is_no_error(grown: Evaluation) -> None:
    rows = grown.rows.with_columns(seed=pl.lit(0, dtype=pl.Int64))
    page = Page(
        html_page(dataclasses.replace(grown, rows=rows, comparisons=grown.comparisons[:0]).with_info(complete=False))
    )
    assert "INTERRUPTED" in page.text


def test_the_file_is_the_page(grown: Evaluation, tmp_path: Path) -> None:
    write_html(grown, tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text(encoding="utf8") == html_page(grown)
    assert html_page(combine({"a": grown})) == html_page(grown)
