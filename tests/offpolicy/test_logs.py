"""Logs: what is read, what is refused, and logs simulated from a full matrix."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset
from recroute.errors import DataError, RecrouteError, RouterError
from recroute.offpolicy import Logs, choice_probabilities, off_policy, read_logs, simulate_logs
from recroute.routers import make_router

GOOD = {"instance_id": ["a", "b"], "llm_id": ["x", "y"], "score": [0.0, 0.5], "propensity": [1.0, 0.25]}


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_logs_are_read_from_every_kind_of_file(suffix: str, tmp_path: Path) -> None:
    table = pl.DataFrame({**GOOD, "prompt": ["p", "q"], "time": ["2026-01-01", "2026-01-02"]})
    path = tmp_path / f"log.{suffix}"
    {"parquet": table.write_parquet, "csv": table.write_csv, "jsonl": table.write_ndjson}[suffix](path)
    logs = read_logs(path)
    assert logs.table.columns == ["instance_id", "llm_id", "score", "propensity", "prompt"]
    assert logs.propensity.tolist() == [1.0, 0.25]
    assert logs.dataset().prompts == ["p", "q"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"propensity": [0.0, 0.5]}, "propensity 0 for instance 'a'"),
        ({"propensity": [0.5, 1.2]}, "propensity 1.2 for instance 'b'"),
        ({"propensity": [0.5, float("nan")]}, "propensity nan"),
        ({"propensity": [0.5, None]}, "propensity is missing for instance 'b'"),
        ({"propensity": ["often", "rarely"]}, "'often'"),
        ({"score": [0.5, 7.0]}, "score 7"),
        ({"instance_id": ["a", "a"]}, "instance 'a' occurs twice"),
        ({"prompt": ["p", None]}, "prompt is missing"),
    ],
)
def test_bad_logs_are_refused(changed: dict[str, list[object]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Logs(pl.DataFrame({**GOOD, **changed}))


def test_missing_columns_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="column 'propensity' is missing"):
        Logs(pl.DataFrame(GOOD).drop("propensity"))
    with pytest.raises(DataError, match="no logs at"):
        read_logs(tmp_path)


def test_prompts_tasks_and_vectors_come_from_the_known_data_set(planted: Dataset) -> None:
    ids = planted.instance_ids.ids
    logs = Logs(pl.DataFrame({**GOOD, "instance_id": [ids[3], ids[1]]}))
    data = logs.dataset(planted, llms=["z", "x"])
    assert data.instance_ids.ids == (ids[3], ids[1])
    assert data.tasks.tolist() == [planted.tasks[3], planted.tasks[1]]
    assert data.llm_ids.ids == ("x", "y", "z")
    np.testing.assert_array_equal(
        data.interactions.dense(), np.array([[0, np.nan, np.nan], [np.nan, 0.5, np.nan]], dtype=np.float32)
    )
    with pytest.raises(DataError, match="has no instance 'a'"):
        Logs(pl.DataFrame(GOOD)).dataset(planted)


def test_probabilities_are_those_of_the_exploration(planted: Dataset) -> None:
    router = make_router("best_single").fit(planted)
    best = np.eye(planted.n_llms)[router.rank(planted).llm_index[:, 0]]
    np.testing.assert_array_equal(choice_probabilities(router, planted), best)
    mixed = choice_probabilities(router, planted, epsilon=0.2)
    np.testing.assert_allclose(mixed, 0.8 * best + 0.2 / planted.n_llms)
    soft = choice_probabilities(router, planted, temperature=1.0)
    np.testing.assert_allclose(soft, router.distribution(router.score(planted)), rtol=1e-6)
    np.testing.assert_allclose(choice_probabilities(router, planted, temperature=1e-6), best, atol=1e-6)
    by_chance = choice_probabilities(make_router("random").fit(planted), planted, temperature=0.1)
    np.testing.assert_allclose(by_chance, 1 / planted.n_llms)


@pytest.mark.parametrize("wrong", [{"epsilon": 1.5}, {"epsilon": float("nan")}, {"temperature": -1.0}])
def test_impossible_explorations_are_refused(planted: Dataset, wrong: dict[str, float]) -> None:
    with pytest.raises(RouterError, match=next(iter(wrong))):
        choice_probabilities(make_router("best_single").fit(planted), planted, **wrong)


def test_bounds_cannot_choose_in_production(planted: Dataset) -> None:
    with pytest.raises(RouterError, match="oracle reads the scores"):
        choice_probabilities(make_router("oracle").fit(planted), planted)


def test_simulated_logs_have_the_scores_and_probabilities_of_their_choices(planted: Dataset) -> None:
    router = make_router("task_best").fit(planted)
    logs = simulate_logs(planted, router, epsilon=0.5, seed=3)
    taken, rows = planted.llm_ids.to_index(logs.table["llm_id"]), np.arange(len(logs))
    assert logs.table["instance_id"].to_list() == list(planted.instance_ids)
    np.testing.assert_array_equal(logs.table["score"], planted.interactions.dense()[rows, taken])
    np.testing.assert_allclose(logs.propensity, choice_probabilities(router, planted, epsilon=0.5)[rows, taken])
    greedy = (taken == router.rank(planted).llm_index[:, 0]).mean()
    expected = 0.5 + 0.5 / planted.n_llms
    assert abs(greedy - expected) < 4 * np.sqrt(expected * (1 - expected) / len(logs))
    assert simulate_logs(planted, router, epsilon=0.5, seed=3).table.equals(logs.table)


def test_logs_of_a_matrix_with_holes_cannot_be_simulated() -> None:
    records = pl.DataFrame({"instance_id": ["a", "a", "b"], "llm_id": ["x", "y", "x"], "score": [1.0, 0.0, 1.0]})
    data = Dataset.from_records(records)
    with pytest.raises(RecrouteError, match="lacks 1 scores"):
        simulate_logs(data, make_router("best_single").fit(data))


def test_the_records_of_a_service_are_logs_with_vectors_in_place_of_prompts(tmp_path: Path, planted: Dataset) -> None:
    router = make_router("knn").fit(planted)
    simulated = simulate_logs(planted, router, epsilon=0.5, seed=0)
    assert router.encoder_ is not None
    table = simulated.table.drop("prompt", "task").with_columns(
        decision_id=pl.Series([f"d{i}" for i in range(len(simulated))]),
        vector=pl.Series(router.encoder_.encode(planted.prompts or []).tolist()),
        encoder=pl.lit(router.encoder_.name),
    )
    path = tmp_path / "records.jsonl"
    pl.concat([table, table[:3]]).write_ndjson(path)  # a decision that was sent twice
    with path.open("a", encoding="utf8") as file:
        file.write('{"instance_id": "torn')
    logs = read_logs(path)
    assert len(logs) == len(simulated)
    np.testing.assert_allclose(router.score(logs.dataset(llms=list(router.llm_ids_))), router.score(planted), atol=1e-5)
    rows = off_policy(logs, {"fitted": router, "on the logs": make_router("hierarchy")}, n_folds=2).rows
    assert rows.filter(pl.col("metric") == "mean_score")["value"].is_finite().all()
    again = table.with_columns(instance_id=pl.lit("same"))
    again.write_ndjson(path)
    assert read_logs(path).table["instance_id"][:2].to_list() == ["same", "same/d1"]
    with pytest.raises(DataError, match="not all from one encoder"):
        Logs(
            table.with_columns(encoder=pl.when(pl.int_range(pl.len()) == 1).then(pl.lit("other")).otherwise("encoder"))
        )


def test_logs_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    row = '{"instance_id":"%s","llm_id":"x","score":1,"propensity":0.5,"encoder":"e","vector":%s}\n'
    for name, vector in (("a", "[0.5]"), ("b", '"no"'), ("c", "[1]")):
        (tmp_path / f"{name}.jsonl").write_text(row % (name, vector), "utf8")
    assert len(read_logs(tmp_path / "a.jsonl", tmp_path / "c.jsonl")) == 2
    with pytest.raises(
        DataError, match=r"vector is of several kinds .*; write it alike everywhere, or read each alone"
    ):
        read_logs(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
