import numpy as np
import pytest

from recroute.retrieval import tie_order, top_k
from recroute.retrieval.top_k import least_of_top_k


@pytest.mark.parametrize("k", [1, 2, 7, 39, 40])
@pytest.mark.parametrize("n_values", [1, 3, 1000])
def test_top_k_is_the_head_of_a_sort_by_score_then_train_mean_then_index(k: int, n_values: int) -> None:
    rng = np.random.default_rng(n_values)
    predicted = rng.integers(n_values, size=(50, 40)).astype(np.float32)
    mean = rng.integers(5, size=40) / 4
    expected = [np.lexsort((np.arange(40), -mean, -row))[:k] for row in predicted]
    np.testing.assert_array_equal(top_k(predicted, k, tie_order(mean)), expected)


def test_no_instances_give_no_rows() -> None:
    assert top_k(np.empty((0, 4), dtype=np.float32), 2, np.arange(4)).shape == (0, 2)


@pytest.mark.parametrize("m", [40, 255, 512, 3001])
@pytest.mark.parametrize("k", [1, 10, 40])
def test_the_least_of_the_top_k_is_reached_by_k_and_few_more(m: int, k: int) -> None:
    predicted = np.random.default_rng(m).normal(size=(50, m)).astype(np.float32)
    reached = (predicted >= least_of_top_k(predicted, k)).sum(axis=1)
    assert (reached >= k).all()
    assert reached.mean() <= 1.2 * k
