"""What objects show in a notebook and in a terminal."""

import dataclasses
from html.parser import HTMLParser

import polars as pl
import pytest

import recroute as rr
from recroute.data import Dataset
from recroute.data.description import MOST_TASKS
from recroute.report.document import Document, Number, Table
from recroute.report.html import notebook
from recroute.routers.ranking import MAX_LLMS, MAX_PROMPTS
from recroute.testing import planted_dataset

EVIL = "<script>alert('x')</script>$&"


class Shown(HTMLParser):
    """Cells of all tables, row by row, and the tags; refuses tags that are not closed in order."""

    def __init__(self, shown: object) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.feed(shown._repr_html_())  # type: ignore[attr-defined]
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def data() -> Dataset:
    return rr.simulate(n_llms=12, n_instances=160)


@pytest.fixture(scope="module")
def split(data: Dataset) -> rr.Split:
    return rr.prepare_split(data, seed=0)


@pytest.fixture(scope="module")
def router(split: rr.Split) -> rr.Router:
    return rr.make_router("svd", n_factors=2).fit(split.train)


def test_a_data_set_shows_its_tasks_and_their_best_llms(data: Dataset) -> None:
    shown = Shown(data)
    assert "instances 160; LLMs 12; records 1,920, density 1.000" in shown.text
    assert "SIMULATED DATA" in shown.text
    scores = data.interactions.dense()
    of_task = {row[0]: row for row in shown.rows[1:]}
    assert set(of_task) == {*data.tasks, "all"}
    for task in set(data.tasks):
        own = scores[data.tasks == task]
        _, n, density, best, value, oracle, mean = of_task[task]
        assert (int(n), float(density)) == (len(own), 1)
        assert float(mean) == pytest.approx(own.mean(), abs=6e-4)
        assert float(oracle) == pytest.approx(own.max(axis=1).mean(), abs=6e-4)
        assert best == data.llm_ids.ids[own.mean(axis=0).argmax()]
        assert float(value) == pytest.approx(own.mean(axis=0).max(), abs=6e-4)
    assert of_task["all"][3] == data.llm_ids.ids[scores.mean(axis=0).argmax()]


def test_many_tasks_are_cut() -> None:
    data = planted_dataset(n_instances=4 * MOST_TASKS)
    instances = data.instances.with_columns(task=pl.format("task {}", pl.int_range(pl.len()) % (2 * MOST_TASKS)))
    rows = Shown(dataclasses.replace(data, instances=instances)).rows
    assert len(rows) == 1 + MOST_TASKS + 2
    assert rows[-2][:2] == [f"... {MOST_TASKS} more tasks", str(2 * MOST_TASKS)]


def test_preferences_alone_have_sizes_and_no_scores() -> None:
    battles = pl.DataFrame({"instance_id": ["a", "b"], "llm_a": "x", "llm_b": "y", "outcome": ["win", "tie"]})
    shown = Shown(Dataset.from_records(None, preferences=battles))
    assert "preferences 2" in shown.text
    assert shown.rows[1:] == [["all", "2", "0.000", "-", "-", "-", "-"]]


def test_names_are_escaped(data: Dataset) -> None:
    llms = data.llms.with_columns(pl.lit(EVIL).add(pl.col("llm_id")).alias("llm_id"))
    instances = data.instances.with_columns(pl.lit(EVIL).alias("task"))
    evil = dataclasses.replace(data, name=EVIL, llms=llms, instances=instances)
    split = rr.split_dataset(evil, seed=0)
    ranking = rr.make_router("svd").fit(split.train).rank(split.test, k=2)
    for found in (evil, split, ranking, rr.evaluate(evil, ["svd"], n_resamples=20)):
        shown = Shown(found)
        assert "script" not in shown.tags
        assert EVIL in shown.text


def test_a_split_shows_its_parts(split: rr.Split) -> None:
    shown = Shown(split)
    assert [row[:2] for row in shown.rows[1:]] == [["train", "128"], ["valid", "16"], ["test", "16"]]
    assert repr(split) == "Split('random', seed 0: train 128, valid 16, test 16 instances; 12 LLMs)"


def test_a_router_shows_its_settings_and_whether_it_is_fitted(router: rr.Router) -> None:
    shown = Shown(router)
    assert "fitted on 12 LLMs" in shown.text
    assert ["n_factors", "2", "4", "number of factors"] in shown.rows
    assert "not fitted" in Shown(rr.make_router("knn")).text


@pytest.mark.parametrize("name", rr.router_names())
def test_every_setting_of_every_router_says_what_it_is(name: str) -> None:
    assert all(row[3] for row in Shown(rr.make_router(name)).rows)


def test_a_ranking_shows_names_and_scores(router: rr.Router, split: rr.Split) -> None:
    ranking = router.rank(split.test, k=7)
    shown = Shown(ranking)
    assert len(shown.rows) == 1 + MAX_PROMPTS
    assert len(shown.rows[0]) == 1 + MAX_LLMS
    assert shown.rows[1][1] == f"{ranking.names[0][0]} ({ranking.predicted_score[0, 0]:.3f})"
    assert "the best 7 of 12 LLMs for each of 16 prompts" in shown.text
    first = repr(ranking).splitlines()
    assert first[0] == "Ranking(the best 7 of 12 LLMs for each of 16 instances"
    assert first[1].startswith(f"  0: {ranking.names[0][0]} {ranking.predicted_score[0, 0]:.3f}, ")
    assert len(first) == 5


def test_an_evaluation_shows_its_intervals(data: Dataset) -> None:
    found = rr.evaluate(data, ["svd"], n_resamples=20)
    shown = Shown(found)
    assert shown.rows[0][:4] == ["router", "mu", "V_B", "lift"]
    (svd,) = (row for row in shown.rows if row[0] == "svd")
    of_svd = found.rows.filter(pl.col("seed").is_null(), router="svd", metric="mean_score").row(0, named=True)
    assert svd[1] == f"{of_svd['value']:.3f} {of_svd['ci_low']:.3f} to {of_svd['ci_high']:.3f}"
    assert "button" not in shown.tags
    assert repr(found).startswith("Evaluation(SIMULATED DATA, 'simulated': ")


def test_growth_shows_a_column_for_each_pool_size_and_the_slope(data: Dataset) -> None:
    grown = rr.scale(data, ["svd"], pool_sizes=[3, 6, 12], groups=["nested"], n_resamples=20)
    assert Shown(grown).rows[0] == ["router", "m = 3", "m = 6", "m = 12", "slope on log2 m"]


def test_a_learning_curve_shows_a_column_for_each_training_size(data: Dataset) -> None:
    found = rr.learning_curve(data, ["knn"], train_fractions=[0.5, 1.0], evaluate=rr.evaluate, n_resamples=20)
    shown = Shown(found)
    assert shown.rows[0] == ["router", "64", "128", "ahead from"]
    assert "SIMULATED DATA" in shown.text
    assert " to " in shown.rows[1][1]


def test_a_frontier_shows_a_table_beside_its_picture() -> None:
    data = rr.simulate(n_llms=5, n_instances=100)
    where, scores = data.interactions.coordinates(), data.interactions.scores.data
    cost = data.llms["n_params_b"].to_numpy()[where[1]]
    matrix = rr.InteractionMatrix.from_coordinates(*where, scores, data.interactions.shape, cost)
    shown = Shown(rr.frontier(dataclasses.replace(data, interactions=matrix), ["knn"], n_resamples=20))
    assert "svg" in shown.tags
    assert shown.rows[0][:2] == ["router", "AIQ"]
    assert "SIMULATED DATA" in shown.text


def test_logged_traffic_shows_a_row_for_each_router(router: rr.Router, split: rr.Split) -> None:
    logs = rr.simulate_logs(split.train, router, epsilon=0.5, seed=0)
    shown = Shown(rr.off_policy(logs, {"<b>": rr.make_router("knn").fit(split.test)}))
    assert [row[0] for row in shown.rows] == ["router", "logged", "<b>"]
    assert shown.rows[0] == ["router", "IPS", "SNIPS", "doubly robust", "dr - logged", "effective n", "heaviest"]


def test_long_things_stay_short_in_a_terminal(data: Dataset) -> None:
    assert repr(data.interactions) == "InteractionMatrix(160 instances x 12 LLMs, 1,920 records, density 1.000)"
    first = ", ".join(map(repr, data.llm_ids.ids[:3]))
    battles = pl.DataFrame({"instance_id": ["a", "a"], "llm_a": "x", "llm_b": "y", "outcome": ["win", "tie"]})
    fought = Dataset.from_records(None, preferences=battles).preferences
    assert repr(fought) == "Preferences(2 battles on 1 instances, 1 ties)"
    prior = rr.LLMPrior.learn(data)
    assert repr(prior) == f"LLMPrior(12 known LLMs, 160 training prompts, {prior.loadings.shape[1] - 1} factors)"
    assert repr(data.llm_ids) == f"IdMap(12 llm ids: {first}, ...)"


def test_a_plain_table_leaves_colours_to_the_notebook() -> None:
    rows = [["<x>", Number(1.0)]]
    table = notebook(Document(title="t", blocks=[Table(heads=["a", "n"], rows=rows, title="<c>")])).partition("</h3>")[
        2
    ]
    assert "&lt;x&gt;" in table
    assert "&lt;c&gt;" in table
    assert not {"color", "background", "class", "button"} & set(table.replace("-", " ").replace(":", " ").split())
