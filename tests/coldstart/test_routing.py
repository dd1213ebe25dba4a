"""Routing among unseen LLMs, as a share of what full data reach."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recroute as rr
from recroute.cli.app import run
from recroute.coldstart.result import COLUMNS, ColdStart
from recroute.coldstart.routing import MIXED, UNSEEN, draw_pools
from recroute.data import Dataset, write_dataset
from recroute.data.sources import simulate
from recroute.errors import RecrouteError


@pytest.fixture(scope="module")
def world() -> Dataset:
    return simulate(n_instances=300, n_llms=60, seed=1)


@pytest.fixture(scope="module")
def found(world: Dataset) -> ColdStart:
    told: list[tuple[int, int]] = []
    result = rr.coldstart(
        world, ["svd"], anchors=(0, 8, 200), strategies=["random"], n_seeds=2, progress=lambda *at: told.append(at)
    )
    assert told[-1] == (6, 6)
    return result


def share(found: ColdStart, router: str, pool: str, k: int) -> float:
    (value,) = found.pooled("share_of_full", router=router, group=pool, n_anchors=k)["value"]
    return float(value)


def test_all_scores_but_a_few_are_as_good_as_all(world: Dataset) -> None:
    n_train = rr.split_dataset(world, seed=0).train.n_instances
    found = rr.coldstart(world, ["svd"], anchors=(n_train - 1,), strategies=["random"], n_seeds=1)
    for router, apart in (("best_single", 0.005), ("knn", 0.005), ("svd", 0.06)):  # 30 test prompts
        for pool in (MIXED, UNSEEN):
            assert share(found, router, pool, n_train - 1) == pytest.approx(1, abs=apart)


def test_more_anchors_route_better_to_unseen_llms(found: ColdStart) -> None:
    for router in ("svd", "best_single"):
        few, many = (share(found, router, UNSEEN, k) for k in (0, 200))
        assert few < many
        assert few < share(found, router, MIXED, 0)  # where half is known, less is lost


def test_baselines_bounds_and_full_data_are_in_the_rows(found: ColdStart) -> None:
    assert set(found.rows.columns) == set(COLUMNS)
    assert {"svd", "best_single", "task_best", "knn", "random", "oracle", "fold-in"} == set(found.rows["router"])
    score = found.pooled("mean_score", group=MIXED)
    low, full, best = (
        score.filter(router=router, strategy=strategy)["value"][0]
        for router, strategy in (("svd", "random"), ("svd", "all scores"), ("svd", "random"))
    )
    bounds = dict(score.filter(pl.col("strategy").is_null()).select("router", "value").iter_rows())
    assert bounds["random"] < low <= bounds["oracle"]
    assert bounds["random"] < full <= bounds["oracle"]
    assert best / full == pytest.approx(share(found, "svd", MIXED, 0), abs=0.02)


def test_the_first_number_that_is_enough_stays_enough() -> None:
    head = {"router": "r", "group": "mixed", "strategy": "active", "metric": "share_of_full"}
    values = {0: 0.95, 4: 0.992, 8: 0.98, 16: 0.991, 32: 1.0}
    rows = [head | {"n_anchors": k, "value": v, "ci_low": v - 0.1, "ci_high": v + 0.1} for k, v in values.items()]
    found = ColdStart(pl.DataFrame([{c: row.get(c) for c in COLUMNS} for row in rows], schema=COLUMNS), {})
    assert found.enough()["n_anchors"].to_list() == [16]  # 4 was luck: 8 fell behind again
    assert found.enough(1.1)["n_anchors"].to_list() == [None]


def test_pools_are_of_the_size_asked_for_and_half_known() -> None:
    pools = draw_pools(30, 12, 10, seed=0)
    assert {len(pool) for pool in pools[UNSEEN]} == {10}
    assert all((pool >= 30).all() for pool in pools[UNSEEN])
    assert {int((pool < 30).sum()) for pool in pools[MIXED]} == {5}
    assert len(np.unique(np.concatenate(pools[UNSEEN]))) == 12  # different ones are drawn
    assert {len(pool) for pool in draw_pools(30, 3, 10, seed=0)[MIXED]} == {6}  # three unseen LLMs, three known ones


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"routers": ["linear"]}, "linear cannot take unseen LLMs"),
        ({"routers": ["guarded(router=mlp)"]}, "cannot take unseen LLMs"),
        ({"anchors": ()}, "give distinct whole numbers"),
        ({"anchor": (4,)}, "did you mean 'anchors'"),
        ({"holdout": "task", "anchors": (200,)}, "no task has 400 prompts"),
        ({"anchors": (4, 4)}, "give distinct whole numbers"),
        ({"n_seeds": 0}, "n_seeds=0"),
        ({"pool_size": 1}, "pool_size=1"),
    ],
)
def test_what_cannot_be_measured_is_refused(world: Dataset, options: dict[str, object], message: str) -> None:
    with pytest.raises(RecrouteError, match=message):
        rr.coldstart(world, **options)


def test_report_and_picture_tell_what_was_found(found: ColdStart, tmp_path: Path) -> None:
    found.write_html(tmp_path / "cold.html")
    html = (tmp_path / "cold.html").read_text("utf8")
    assert "SIMULATED DATA" in html
    assert html.count("<svg") == 1
    assert all(line in html.replace("&#x27;", "'") for line in found.sentences())
    assert len(found.plot().figure.axes) == 2


def test_the_command_prints_and_writes_the_same_numbers(world: Dataset, tmp_path: Path) -> None:
    write_dataset(world, tmp_path / "data")
    command = ["coldstart", str(tmp_path / "data"), "--router", "ridge", "--anchors", "0,8", "--seeds", "1", "--quiet"]
    assert run([*command, "--json", str(tmp_path / "a.json"), "--png", str(tmp_path / "a.png")]) == 0
    result = json.loads((tmp_path / "a.json").read_text("utf8"))
    assert {"router", "strategy", "n_anchors", "metric", "value", "ci_low", "ci_high"} <= set(result["rows"][0])
    expected = rr.coldstart(rr.read_dataset(tmp_path / "data"), ["ridge"], anchors=(0, 8), n_seeds=1)
    assert [row["value"] for row in result["rows"]] == expected.rows["value"].fill_nan(None).to_list()
    assert run(["report", str(tmp_path / "a.json"), "--html", str(tmp_path / "b.html")]) == 2  # it has one of its own
    assert run([*command, "--strategy", "best"]) == 2
    assert run([*command, "--anchors", "many"]) == 2
