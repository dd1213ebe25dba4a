import numpy as np
import pytest

from recroute.data import Dataset, task_means
from recroute.data.sources import simulate
from recroute.errors import DataError


@pytest.fixture(scope="module")
def data() -> Dataset:
    return simulate()


def test_shape_and_mark(data: Dataset) -> None:
    assert (data.n_instances, data.n_llms, data.interactions.density) == (2000, 200, 1.0)
    assert len(set(data.tasks)) == 8
    assert data.card["simulated"] is True


def test_prompts_are_distinct(data: Dataset) -> None:
    assert len({" ".join(prompt.lower().split()) for prompt in data.prompts or []}) == 2000


def test_same_seed_same_data(data: Dataset) -> None:
    again, other = simulate(), simulate(seed=1)
    np.testing.assert_array_equal(again.interactions.dense(), data.interactions.dense())
    assert again.prompts == data.prompts
    assert (other.interactions.dense() != data.interactions.dense()).any()


def test_levels_stand_to_each_other_as_on_leaderboards(data: Dataset) -> None:
    scores = data.interactions.dense()
    best = scores.mean(axis=0).max()
    held_out = np.random.default_rng(0).random(2000) < 0.2
    names, means, _ = task_means(data.take_instances(np.flatnonzero(~held_out)))
    choice = means.argmax(axis=1)[np.searchsorted(names, data.tasks[held_out])]
    task_known = scores[held_out][np.arange(held_out.sum()), choice].mean()
    assert 0.70 < best < 0.82
    assert best + 0.02 < task_known < best + 0.12
    assert scores.max(axis=1).mean() > 0.96
    assert 0.42 < scores.mean() < 0.55


def test_tasks_are_correlated_over_llms(data: Dataset) -> None:
    _, means, _ = task_means(data)
    correlation = np.corrcoef(means)[np.triu_indices(8, 1)]
    assert 0.5 < correlation.mean() < 0.9


def test_too_small_a_pool_is_refused() -> None:
    with pytest.raises(DataError, match="too few"):
        simulate(n_llms=2)
