"""Several runs in one report: side by side where that is fair, refused where it is not."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from recroute.data.sources import simulate
from recroute.errors import RecrouteError
from recroute.evaluation.combine import combine
from recroute.evaluation.evaluation import Evaluation
from recroute.evaluation.run import scale
from recroute.report.html import page

DATA = simulate(n_llms=12, n_instances=120)
FILES = {"records.parquet": "a" * 64, "instances.parquet": "b" * 64, "embeddings.npz": "c" * 64}


def run(router: str, seeds: tuple[int, ...] = (0,), n_llms: int = 12, **files: str) -> Evaluation:
    data = DATA.take_llms(np.arange(n_llms))
    found = scale(data, [router], pool_sizes=[3, 6], groups=["nested"], seeds=seeds, n_resamples=20)
    digests = {**FILES, **{name.replace("_", "."): value for name, value in files.items()}}
    return found.with_info(dataset={**found.info["dataset"], "sha256": digests}, command=["recroute", router])


@pytest.fixture(scope="module")
def svd() -> Evaluation:
    return run("svd")


def test_routers_of_all_runs_stand_together_and_shared_ones_once(svd: Evaluation) -> None:
    found = combine({"one": svd, "two": run("ridge")})
    routers = found.rows["router"].unique(maintain_order=True).to_list()
    assert {"svd", "ridge", "knn", "oracle"} <= set(routers)
    assert not [router for router in routers if "[" in router]
    assert found.rows.filter(router="oracle").equals(svd.rows.filter(router="oracle"))
    assert {row[:2] for row in found.comparisons.select("router", "baseline").iter_rows()} >= {
        ("svd", "best_single"),
        ("ridge", "best_single"),
    }
    assert "recroute ridge" in page(found.document())


def test_a_router_that_differs_is_shown_for_each_run(svd: Evaluation) -> None:
    better = svd.rows.with_columns(
        value=pl.when(pl.col("router") == "svd").then(pl.col("value") + 0.1).otherwise(pl.col("value"))
    )
    found = combine({"one": svd, "two": dataclasses.replace(svd, rows=better)})
    assert {"svd [one]", "svd [two]", "oracle"} <= set(found.rows["router"])
    assert "svd [two]" in found.comparisons["router"]
    assert "svd [one]" in page(found.document())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"records_parquet": "d" * 64}, "records.parquet differs .*aaaaaaaaaaaa and dddddddddddd"),
        ({"pools_parquet": "d" * 64}, "pools.parquet differs .*absent"),
        ({"n_llms": 11}, "n_llms is 12 in one and 11 in the other"),
        ({"seeds": (0, 1)}, r"seeds are \[0\] in one and \[0, 1\]"),
    ],
)
def test_other_data_are_refused(svd: Evaluation, other: dict, message: str) -> None:
    with pytest.raises(RecrouteError, match=f"one and two cannot be compared: {message}"):
        combine({"one": svd, "two": run("svd", **other)})


def test_another_split_of_the_same_shape_is_refused(svd: Evaluation) -> None:
    other = svd.with_info(splits={"0": "f" * 64})
    with pytest.raises(RecrouteError, match="the split of seed 0 differs"):
        combine({"one": svd, "two": other})


def test_other_vectors_are_a_note(svd: Evaluation) -> None:
    found = combine({"one": svd, "two": run("svd", embeddings_npz="d" * 64)})
    assert "routers of one: svd, knn" in found.notes
    assert "the runs differ in embeddings.npz" in found.notes


def test_results_without_digests_are_compared_by_name_and_shape(svd: Evaluation) -> None:
    bare = {key: value for key, value in svd.info["dataset"].items() if key != "sha256"}
    old = Evaluation(svd.rows, {key: value for key, value in svd.info.items() if key != "splits"} | {"dataset": bare})
    notes = combine({"one": svd, "two": old}).notes
    assert [note for note in notes if "no SHA-256 of the data" in note]
    assert [note for note in notes if "no SHA-256 of the splits" in note]
    with pytest.raises(RecrouteError, match="name is 'simulated' in one and 'other' in the other"):
        combine({"one": svd, "two": old.with_info(dataset={**bare, "name": "other"})})
