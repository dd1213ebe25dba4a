"""Cost-quality curves: hand arithmetic on made-up choices, and what they say where the truth is known."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, InteractionMatrix
from recroute.errors import DataError
from recroute.evaluation.frontier import frontier
from recroute.evaluation.frontier_result import Frontier
from recroute.evaluation.frontier_rows import Traced, summarise_curves
from recroute.metrics import Spending
from recroute.report.document import Figure, Table


def two_llms(n: int = 300, seed: int = 0) -> Dataset:
    """A cheap LLM that solves the easy half, a dear one that solves all, a middling one dominated by both."""
    rng = np.random.default_rng(seed)
    hard = np.arange(n) % 2 == 1
    chance = np.column_stack([np.where(hard, 0.0, 1.0), np.ones(n), np.full(n, 0.3)])
    solves = rng.random((n, 3)) < chance
    rows, columns = np.nonzero(np.ones((n, 3)))
    cost = np.array([0.001, 0.009, 0.005])[columns]
    matrix = InteractionMatrix.from_coordinates(rows, columns, solves.ravel().astype(float), (n, 3), cost)
    words = np.where(hard, "prove the theorem", "spell the word")
    instances = pl.DataFrame(
        {"instance_id": [str(i) for i in range(n)], "prompt": [f"{w} {i}" for i, w in enumerate(words)], "task": words}
    )
    return Dataset("two", matrix, instances, pl.DataFrame({"llm_id": ["cheap", "dear", "middling"]}))


@pytest.fixture(scope="module")
def found() -> Frontier:
    return frontier(two_llms(), ["knn", "random"], seeds=(0, 1), n_resamples=200)


def curve(found: Frontier) -> str:
    """The picture in a terminal."""
    figure = found.document().blocks[0]
    assert isinstance(figure, Figure)
    assert figure.text is not None
    return str(figure.text().plain)


def test_a_curve_by_hand() -> None:
    # the dear LLM (cost 3) scores 1, .5; the cheap one (cost 1) .5, .5; the router takes the dear one first
    scores = np.array([[0.5, 1.0], [0.5, 0.5]], dtype=np.float32)
    costs = np.array([[1.0, 3.0], [1.0, 3.0]], dtype=np.float32)
    spending = Spending(
        cost=np.array([3.0, 3.0]),
        scores=np.array([[1.0, 1.0, 0.5], [0.5, 0.5, 0.5]]),
        costs=np.array([[3.0, 3.0, 1.0], [3.0, 1.0, 1.0]]),
        dearest=np.array([3.0, 3.0]),
    )
    at, ids = np.array([0.0, 1.0, np.inf]), np.array(["a", "b"])
    traced = Traced(0, ids, {"r": spending}, at, ["x", "y"], scores, costs, scores)
    rows, points, pairs, notes = summarise_curves([traced], 0, 50)
    value = dict(rows.filter(group="all").select("metric", "value").iter_rows())
    # points (1, .5), (2, .75), (3, .75): the hull rises from .5 to .75 over [1, 2] and is level over [2, 3]
    assert value["aiq"] == pytest.approx(((0.5 + 0.75) / 2 * 1 + 0.75 * 1) / 2)
    assert value["cost_at_quality@100"] == pytest.approx(2.0)
    assert value["cost_at_quality@95"] == pytest.approx(1 + (0.95 * 0.75 - 0.5) / 0.25)
    assert (value["mean_score"], value["mean_cost"]) == (0.75, 3.0)
    assert points.filter(group="all")["on_hull"].to_list() == [True, True, True]
    assert points.filter(group="llm")["mean_score"].to_list() == [0.5, 0.75]
    assert pairs.is_empty()
    assert notes == ["the best single LLM on 2 test instances is y"]


def test_a_router_that_tells_easy_from_hard_gets_full_quality_at_half_the_difference(found: Frontier) -> None:
    dear = 0.009
    assert found.value("knn", "cost_at_quality@100") == pytest.approx((0.001 + dear) / 2, rel=0.02)
    assert found.value("zero", "cost_at_quality@100") == pytest.approx(dear)
    assert found.best_single == "dear"


def test_zero_mixes_the_llms_on_the_hull_only(found: Frontier) -> None:
    aiq = {router: found.value(router, "aiq") for router in found.routers}
    assert aiq["zero"] == pytest.approx((0.5 + 1) / 2, abs=0.03)  # a straight line from cheap to dear
    assert aiq["knn"] == pytest.approx((0.75 * 0.5 + 1 * 0.5), abs=0.03)
    assert aiq["oracle"] >= aiq["knn"] - 1e-9
    costs = found.points.filter(router="zero")["mean_cost"].unique().to_list()
    assert 0.005 not in np.round(costs, 6)


def test_differences_are_paired_and_said_in_words(found: Frontier) -> None:
    (row,) = found.comparisons.filter(router="knn", baseline="zero", metric="aiq").iter_rows(named=True)
    assert row["value"] == pytest.approx(found.value("knn", "aiq") - found.value("zero", "aiq"))
    assert row["ci_low"] > 0.05
    assert any(line.startswith("AIQ: knn is 0.1") and line.endswith("above zero") for line in found.sentences())
    assert any(
        "knn - zero = " in line and line.endswith("per 1,000 prompts")
        for line in found.sentences("cost_at_quality@100")
    )


def test_a_router_that_chooses_by_chance_is_left_out_with_a_note(found: Frontier) -> None:
    assert "random" not in found.routers
    assert any("choose at random" in note and "random" in note for note in found.notes)


def test_json_has_the_rows_of_an_evaluation_and_the_points(found: Frontier, tmp_path: Path) -> None:
    found.write_json(tmp_path / "f.json")
    result = json.loads((tmp_path / "f.json").read_text("utf8"))
    assert {"recroute", "command", "dataset", "seed", "rows", "points"} <= set(result)
    keys = {"router", "group", "pool_size", "seed", "metric", "value", "ci_low", "ci_high", "n_instances"}
    assert all(keys <= set(row) for row in result["rows"])
    assert {row["seed"] for row in result["rows"]} == {None, 0, 1}
    assert {row["metric"] for row in result["rows"] if row.get("baseline") == "zero"} >= {"aiq", "cost_at_quality@95"}
    assert {point["router"] for point in result["points"]} >= {"knn", "zero", "cheap"}


def test_the_same_seed_gives_the_same_numbers(found: Frontier) -> None:
    again = frontier(two_llms(), ["knn", "random"], seeds=(0, 1), n_resamples=200)
    assert again.rows.equals(found.rows, null_equal=True)


def test_an_interrupt_keeps_the_seeds_that_were_finished() -> None:
    def stop(done: int, of: int) -> None:
        if done > of // 2:
            raise KeyboardInterrupt

    found = frontier(two_llms(), ["task_best"], seeds=(0, 1), n_resamples=20, progress=stop)
    assert not found.info["complete"]
    assert found.seeds == [0]
    assert found.rows["seed"].unique().to_list() == [None]
    assert "only finished seeds" in found._repr_html_()


def test_without_text_only_routers_that_need_none_are_drawn() -> None:
    data = two_llms()
    bare = Dataset("bare", data.interactions, data.instances.drop("prompt"), data.llms)
    found = frontier(bare, ["task_best", "knn"], n_resamples=50)
    assert found.routers == ["task_best", "best_single", "oracle", "zero"]
    assert found.value("task_best", "cost_at_quality@100") == pytest.approx(0.005, rel=0.02)
    assert found.notes[0] == "left out, because bare has neither prompts nor embeddings: knn"


def test_without_costs_there_is_no_frontier(planted: Dataset) -> None:
    with pytest.raises(DataError, match="planted has no costs; add a column cost"):
        frontier(planted, ["knn"])


def test_what_a_person_looks_at(found: Frontier, tmp_path: Path) -> None:
    ax = found.plot()
    assert ax.get_xscale() == "log"
    assert {"knn", "zero", "oracle", "single LLMs"} <= {line.get_label() for line in ax.get_lines()}
    assert "above zero" in found._repr_html_()
    text = curve(found)
    assert "A knn" in text
    assert max(map(len, text.splitlines())) <= 100
    first, on_hull, llms = (block for block in found.document().blocks if isinstance(block, Table))
    assert (len(first.rows), len(on_hull.rows), len(llms.rows)) == (4, 2, 3)
    found.write_html(tmp_path / "f.html")
    page = (tmp_path / "f.html").read_text("utf8")
    assert page.count("<svg") == 1
    assert "What quality costs on two" in page
    assert "http" not in page.split("</style>")[1].split("<script>")[0].replace("http-equiv", "")


def test_free_llms_are_drawn_on_a_linear_axis() -> None:
    data = two_llms(60)
    rows, columns = data.interactions.coordinates()
    scores = data.interactions.dense()[rows, columns]
    free = InteractionMatrix.from_coordinates(rows, columns, scores, (60, 3), np.array([0.0, 0.009, 0.0])[columns])
    found = frontier(Dataset("free", free, data.instances, data.llms), ["best_single"], n_resamples=20)
    assert found.plot().get_xscale() == "linear"
    assert "log scale" not in curve(found)


def test_an_llm_that_nobody_judged_on_test_is_no_point(found: Frontier) -> None:
    unknown = found.points.filter(pl.col("router") == "middling").with_columns(
        pl.lit("absent").alias("router"),
        pl.lit(float("nan")).alias("mean_cost"),
        pl.lit(float("nan")).alias("mean_score"),
    )
    assert unknown.height
    more = dataclasses.replace(found, points=pl.concat([found.points, unknown]))
    assert curve(more) == curve(found)
    assert more.plot()._repr_png_() == found.plot()._repr_png_()
