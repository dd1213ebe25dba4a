from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from recroute.data import Dataset, InteractionMatrix, llm_means, read_dataset
from recroute.data.sources import simulate
from recroute.errors import RecrouteError
from recroute.pools import GROUPS, make_pools
from recroute.pools.best_scores import BestScores
from recroute.pools.make import eligible_llms, strong_to_weak, window


@pytest.fixture(scope="module")
def data() -> Dataset:
    return simulate(n_instances=200)


def best_of(scores: np.ndarray) -> BestScores:
    return BestScores(InteractionMatrix.from_dense(scores))


def plain_window(scores: np.ndarray, size: int, strong: bool) -> np.ndarray:
    """The selection as it is described, window after window."""
    e = scores.shape[1]
    fifth = max(size, int(0.2 * e))
    candidates = np.arange(e - fifth, e) if strong else np.arange(fifth)
    best, best_oracle = None, -1.0
    for start in range(fifth - size + 1):
        chosen = candidates[start : start + size]
        oracle = scores[:, chosen].max(axis=1).mean(dtype=np.float64)
        if oracle > best_oracle:
            best, best_oracle = chosen, oracle
    assert best is not None
    return best


@pytest.mark.parametrize("strong", [True, False])
def test_window_equals_the_plain_loop(strong: bool) -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        e = int(rng.integers(1, 50))
        size = int(rng.integers(1, e + 1))
        scores = (rng.random((int(rng.integers(1, 140)), e)) < 0.3).astype(np.float32)
        if rng.random() < 0.3:  # graded
            scores *= rng.integers(1, 4, scores.shape).astype(np.float32) / 4
        scores = np.asfortranarray(scores) if rng.random() < 0.5 else scores
        np.testing.assert_array_equal(
            window(best_of(scores), size, strong=strong),
            plain_window(scores, size, strong),
        )


@pytest.mark.realdata
@pytest.mark.parametrize("strong", [True, False])
@pytest.mark.parametrize("name", ["openllm1", "llmrouter"])
def test_window_equals_the_plain_loop_on_real_data(name: str, strong: bool, real: Path) -> None:
    data = read_dataset(real / name)
    scores = np.nan_to_num(data.interactions.dense()[:, eligible_llms(llm_means(data))])
    for size in (3, 10, 1000):
        size = min(size, scores.shape[1])
        np.testing.assert_array_equal(
            window(best_of(scores), size, strong=strong),
            plain_window(scores, size, strong),
        )


@pytest.mark.parametrize("levels", [1, 3])
def test_strong_to_weak_equals_the_plain_loop(levels: int) -> None:
    scores = (np.random.default_rng(0).integers(-6, levels + 1, (70, 90)).clip(0) / levels).astype(np.float32)
    edges = np.linspace(0, 90, 8).astype(int)
    rng = np.random.default_rng(5)
    draws = [edges[:-1] + (rng.random(7) * np.diff(edges)).astype(int) for _ in range(1000)]
    best = max(draws, key=lambda draw: scores[:, draw].max(axis=1).mean(dtype=np.float64))
    np.testing.assert_array_equal(strong_to_weak(best_of(scores), 7, np.random.default_rng(5)), best)


def test_limits_and_order_of_eligible_llms() -> None:
    assert eligible_llms(np.array([0.95, 0.5, 0.05, 0.1, 0.9])).tolist() == [3, 1, 4]
    with pytest.raises(RecrouteError, match="RouterEval's groups are empty"):
        eligible_llms(np.array([0.95, 0.05]))


def test_strong_to_weak_takes_one_of_each_rank_group() -> None:
    scores = (np.random.default_rng(0).random((20, 100)) < 0.1).astype(np.float32)
    draw = strong_to_weak(best_of(scores), 5, np.random.default_rng(1))
    assert (draw // 20).tolist() == [0, 1, 2, 3, 4]
    oracles = []
    for seed in range(50):
        other = np.arange(5) * 20 + np.random.default_rng(seed).integers(0, 20, 5)
        oracles.append(scores[:, other].max(axis=1).mean())
    assert scores[:, draw].max(axis=1).mean() >= max(oracles)


def test_groups_are_strong_weak_and_spread(data: Dataset) -> None:
    means = llm_means(data)
    pools = {pool.group: means[pool.llm_index].mean() for pool in make_pools(data, GROUPS, [10], seed=0)}
    assert pools["all_weak"] < pools["strong_to_weak"] < pools["all_strong"]


def test_nested_pools_only_grow(data: Dataset) -> None:
    pools = make_pools(data, ["nested"], [3, 10, 100], seed=1)
    for small, large in pairwise(pools):
        np.testing.assert_array_equal(large.llm_index[: small.size], small.llm_index)


def test_a_size_beyond_the_llms_gives_all_of_them_once(data: Dataset) -> None:
    assert [pool.size for pool in make_pools(data, ["nested"], [100, 1000, 5000], seed=0)] == [100, 200]


def test_unknown_groups_and_silly_sizes_are_refused(data: Dataset) -> None:
    with pytest.raises(RecrouteError, match="did you mean 'all_strong'"):
        make_pools(data, ["all_strng"], [3], seed=0)
    with pytest.raises(RecrouteError, match="pool size 0"):
        make_pools(data, ["nested"], [0], seed=0)
