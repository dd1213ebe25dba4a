import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, InteractionMatrix, llm_means, task_means
from recroute.data.task_means import compute_task_means
from recroute.errors import DataError, RecrouteError

ROW = {"instance_id": ["q1", "q1", "q2"], "llm_id": ["b", "a", "a"], "score": [1.0, 0.0, 0.5]}


def changed(**columns: object) -> pl.DataFrame:
    return pl.DataFrame(ROW | columns)


def test_records_alone_make_a_data_set() -> None:
    data = Dataset.from_records(pl.DataFrame(ROW))
    assert data.llm_ids.ids == ("a", "b")
    np.testing.assert_array_equal(data.interactions.dense(), [[0.0, 1.0], [0.5, np.nan]])
    assert data.tasks.tolist() == ["all", "all"]


def test_the_order_of_records_does_not_matter() -> None:
    forward, backward = (Dataset.from_records(pl.DataFrame(ROW)[order]) for order in ([0, 1, 2], [2, 1, 0]))
    np.testing.assert_array_equal(forward.interactions.dense(), backward.interactions.dense())


def test_pandas_and_dicts_are_accepted() -> None:
    pandas = pytest.importorskip("pandas")
    for frame in (ROW, pandas.DataFrame(ROW)):
        assert Dataset.from_records(frame).interactions.n_observed == 3
    prompts = pandas.DataFrame({"instance_id": ["q2", "q1"], "prompt": ["two", "one"]})
    data = Dataset.from_records(ROW, instances=prompts, llms={"llm_id": ["b", "a"], "family": ["x", "y"]})
    assert data.prompts == ["two", "one"]
    assert data.llms["family"].to_list() == ["x", "y"]


def test_a_table_without_ids_is_refused() -> None:
    with pytest.raises(DataError, match="column 'instance_id' is missing in the table of instances"):
        Dataset.from_records(ROW, instances=pl.DataFrame({"prompt": ["one", "two"]}))
    with pytest.raises(DataError, match="llm_id is Boolean in the table of llms, not text"):
        Dataset.from_records(ROW, llms=pl.DataFrame({"llm_id": [True, False]}))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pl.DataFrame(ROW).drop("score"), "column 'score' is missing"),
        (pl.DataFrame(ROW).head(0), "no rows"),
        (changed(score=[1.7, 0.0, 0.5]), r"score 1.7 for instance 'q1', llm 'b'.*outside \[0, 1\]"),
        (changed(score=[1.0, float("nan"), 0.5]), "score nan for instance 'q1', llm 'a'"),
        (changed(score=[1.0, 0.0, float("inf")]), "score inf for instance 'q2'"),
        (changed(score=[1.0, None, 0.5]), "score is missing for instance 'q1', llm 'a'"),
        (changed(score=["1", "x", "0"]), "score 'x' in records, row 1 is not a number"),
        (changed(llm_id=["a", "a", "a"]), "instance 'q1' and llm 'a' occur twice .*row 1"),
        (changed(llm_id=[1.5, 2, 3]), "llm_id 1.5 in records is neither text nor a whole number"),
        (changed(instance_id=["q1", None, "q2"]), "instance_id is missing in records, row 1"),
        (changed(cost=[0.1, -1.0, 0.2]), r"cost -1 for instance 'q1', llm 'a' \(records, row 1\)"),
    ],
)
def test_bad_records_are_refused_in_one_line(table: pl.DataFrame, message: str) -> None:
    with pytest.raises(RecrouteError, match=message) as refused:
        Dataset.from_records(table)
    assert "\n" not in str(refused.value)


def test_covered_llms_are_those_run_on_enough_instances() -> None:
    data = Dataset.from_records(pl.DataFrame(ROW))
    assert data.take_covered(1.0).llm_ids.ids == ("a",)
    assert data.take_covered(0.5).llm_ids.ids == ("a", "b")
    with pytest.raises(DataError, match=r"no LLM was evaluated on 1 of the instances; the most is 0\.500"):
        data.take_llms(np.array([1])).take_covered(1.0)


def test_an_id_that_the_tables_lack_is_named() -> None:
    with pytest.raises(DataError, match="llm_id 'b', which the table of llms lacks"):
        Dataset.from_records(pl.DataFrame(ROW), llms=pl.DataFrame({"llm_id": ["a"]}))


def test_means_of_complete_data_are_plain_means(planted: Dataset) -> None:
    np.testing.assert_allclose(llm_means(planted), planted.interactions.dense().mean(axis=0), rtol=1e-6)
    names, means, counts = task_means(planted)
    for t, name in enumerate(names):
        rows = planted.tasks == name
        assert counts[t] == rows.sum()
        np.testing.assert_allclose(means[t], planted.interactions.dense()[rows].mean(axis=0), rtol=1e-6)


def test_llms_with_equal_scores_have_equal_means(rng: np.random.Generator) -> None:
    scores = rng.choice([0.1, 0.3, 0.7], size=500).astype(np.float32)
    columns = np.column_stack([rng.permutation(scores) for _ in range(50)])
    prompts = pl.DataFrame(
        {"instance_id": [f"i{i}" for i in range(500)], "task": [f"t{int(i**0.5) % 7}" for i in range(500)]}
    )
    llms = pl.DataFrame({"llm_id": [f"llm-{j}" for j in range(50)]})
    assert len(np.unique(llm_means(Dataset("equal", InteractionMatrix.from_dense(columns), prompts, llms)))) == 1


def test_task_means_are_the_same_in_both_layouts_and_any_number_of_blocks() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((600, 1000)).round(1).astype(np.float32)
    scores[rng.random(scores.shape) < 0.3] = np.nan
    scores[::7] = np.nan
    tasks = np.where(np.arange(600) % 3 == 0, "a", "b")  # two blocks of b
    dense = InteractionMatrix.from_dense(scores)
    sparse = InteractionMatrix.from_csr(dense.scores)
    by_block, by_record = (compute_task_means(each, tasks) for each in (dense, sparse))
    for one, other in zip(by_block[1:], by_record[1:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_an_llm_run_on_the_easy_task_only_is_not_called_best() -> None:
    rng = np.random.default_rng(0)
    easy, n = np.arange(200) < 100, 200
    block = (rng.random((n, 4)) < np.where(easy, 0.9, 0.3)[:, None]).astype(np.float32)
    block[:, 1] = (rng.random(n) < np.where(easy, 0.95, 0.6)).astype(np.float32)
    block[~easy, 0] = np.nan  # LLM 0 has seen nothing but the easy task
    records = [(f"i{i}", f"l{j}", float(block[i, j])) for i in range(n) for j in range(4) if not np.isnan(block[i, j])]
    instances = pl.DataFrame({"instance_id": [f"i{i}" for i in range(n)], "task": np.where(easy, "easy", "hard")})
    table = pl.DataFrame(records, schema=["instance_id", "llm_id", "score"], orient="row")
    data = Dataset.from_records(table, instances=instances)
    assert np.nanargmax(np.nanmean(block, axis=0)) == 0
    assert llm_means(data).argmax() == 1
