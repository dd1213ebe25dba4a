import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset
from recroute.data.sources import simulate
from recroute.errors import RecrouteError
from recroute.routers import make_router
from recroute.splits import holdout_splits


@pytest.fixture(scope="module")
def data() -> Dataset:
    return simulate(n_llms=10, n_instances=160)


def test_each_task_is_the_test_set_once_and_nowhere_else(data: Dataset) -> None:
    splits = list(holdout_splits(data, "task"))
    assert [split.name for split in splits] == [f"task {name}" for name in sorted(set(data.tasks))]
    for split in splits:
        (held,) = set(split.test.tasks)
        assert split.test.n_instances == (data.tasks == held).sum()
        assert held not in {*split.train.tasks, *split.valid.tasks}
        assert split.train.n_instances + split.valid.n_instances + split.test.n_instances == data.n_instances
        assert split.valid.n_instances == pytest.approx(140 / 9, abs=1)


def test_a_prompt_of_the_held_out_task_is_in_no_other_part() -> None:
    ids = [f"i{i:03d}" for i in range(60)]
    prompts = ["same", *[f"p{i}" for i in range(1, 30)], " SAME", *[f"p{i}" for i in range(31, 60)]]
    instances = pl.DataFrame({"instance_id": ids, "prompt": prompts, "task": ["a"] * 30 + ["b"] * 30})
    records = pl.DataFrame({"instance_id": ids, "llm_id": ["l"] * 60, "score": [1.0] * 60})
    first, second = holdout_splits(Dataset.from_records(records, instances=instances), "task")
    assert "i030" not in {*first.train.instance_ids, *first.valid.instance_ids}
    assert "i000" not in {*second.train.instance_ids, *second.valid.instance_ids}
    assert first.note.startswith("1 instances share a prompt with the held-out task a")


def test_task_best_falls_back_to_the_train_means(data: Dataset) -> None:
    for split in holdout_splits(data, "task"):
        fitted = make_router("task_best").fit(split.train)
        means = split.train.interactions.dense().mean(axis=0)
        np.testing.assert_allclose(fitted.score(split.test), np.tile(means, (split.test.n_instances, 1)), atol=1e-6)


def test_what_cannot_be_held_out_is_refused(data: Dataset) -> None:
    with pytest.raises(RecrouteError, match="no benchmark column"):
        next(holdout_splits(data, "benchmark"))
    with pytest.raises(RecrouteError, match="did you mean 'task'"):
        next(holdout_splits(data, "tsk"))
    one = data.take_instances(np.flatnonzero(data.tasks == data.tasks[0]))
    with pytest.raises(RecrouteError, match="leaves nothing to train on"):
        next(holdout_splits(one, "task"))
