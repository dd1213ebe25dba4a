"""Ranking many LLMs through the index is ranking them by score."""

from pathlib import Path

import numpy as np
import pytest

from recroute.data import Dataset, InteractionMatrix, Prompts
from recroute.errors import RouterError
from recroute.retrieval import tie_order, top_k
from recroute.routers import load_router, make_router
from recroute.routers.factors import FactorRouter
from recroute.routers.svd import SVD
from recroute.testing import planted_dataset

M = 1500


@pytest.fixture(scope="module")
def many() -> Dataset:
    """Binary scores of many LLMs, among them many doubles: equal scores everywhere."""
    data = planted_dataset(n_instances=90, n_llms=M, noise=0.2)
    scores = data.interactions.dense()
    scores[:, 700:1100] = scores[:, :400]
    return Dataset("many", InteractionMatrix.from_dense(scores), data.instances, data.llms)


@pytest.fixture(scope="module")
def router(many: Dataset) -> FactorRouter:
    fitted = make_router("svd").fit(many)
    assert isinstance(fitted, FactorRouter)
    return fitted


def by_score(router: FactorRouter, data: Dataset, k: int, pool: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted = router.score(data, pool)
    best = top_k(predicted, k, tie_order(router.llm_mean_[pool]))
    return pool[best], np.take_along_axis(predicted, best, axis=1)


@pytest.mark.parametrize("k", [1, 5, 100, 151, M])
def test_rank_is_score_and_top_k(router: FactorRouter, many: Dataset, k: int) -> None:
    ranking = router.rank(many, k)
    best, predicted = by_score(router, many, k, np.arange(M))
    np.testing.assert_array_equal(ranking.llm_index, best)
    np.testing.assert_allclose(ranking.predicted_score, predicted, rtol=1e-6)
    assert ranking.llm_index.dtype == np.int32
    assert ranking.predicted_score.dtype == np.float32


@pytest.mark.parametrize("size", [30, 1000, 1400])
def test_rank_within_a_pool_is_score_and_top_k(router: FactorRouter, many: Dataset, size: int) -> None:
    pool = np.random.default_rng(size).permutation(M)[:size]
    np.testing.assert_array_equal(router.rank(many, 3, pool).llm_index, by_score(router, many, 3, pool)[0])
    names = [many.llm_ids.ids[i] for i in pool]
    np.testing.assert_array_equal(router.rank(many, 3, names).llm_index, by_score(router, many, 3, pool)[0])


def test_large_pools_go_through_the_index_and_small_ones_do_not(many: Dataset) -> None:
    router = make_router("svd").fit(many)
    router.rank(many, 1, np.arange(100))
    router.rank(many, M)
    assert not hasattr(router, "_llm_index")
    router.rank(many, 1)
    assert hasattr(router, "_llm_index")
    before = router.rank(many).llm_index
    router.fit(many.take_llms(np.arange(M)[::-1]))  # a new fit makes a new index
    assert (router.rank(many).llm_index != before).any()
    np.testing.assert_array_equal(router.rank(many).llm_index, by_score(router, many, 1, np.arange(M))[0])


def test_equal_scores_go_by_the_train_means_of_the_latest_fit(many: Dataset) -> None:
    router = make_router("knn")
    for data in (many, many.take_llms(np.arange(M)[::-1])):
        router.fit(data)
        for _ in range(2):
            ranking = router.rank(data, 10)
            predicted = router.score(data)
            np.testing.assert_array_equal(ranking.llm_index, top_k(predicted, 10, tie_order(router.llm_mean_)))


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf", "exact"])
def test_a_saved_router_ranks_the_same(kind: str, many: Dataset, tmp_path: Path) -> None:
    fitted = make_router("svd", index=kind).fit(many)
    ranking = fitted.rank(many, 10)
    fitted.save(tmp_path / "router")
    loaded = load_router(tmp_path / "router").rank(many, 10)
    np.testing.assert_array_equal(loaded.llm_index, ranking.llm_index)
    np.testing.assert_array_equal(loaded.predicted_score, ranking.predicted_score)


def test_a_router_that_predicts_more_than_an_inner_product_is_ranked_by_its_scores(many: Dataset) -> None:
    class Backwards(SVD):
        def _score(self, prompts: Prompts, llm_index: np.ndarray) -> np.ndarray:
            return -super()._score(prompts, llm_index)

    backwards = Backwards().fit(many)
    np.testing.assert_array_equal(backwards.rank(many).llm_index, by_score(backwards, many, 1, np.arange(M))[0])


def test_a_vector_that_is_not_finite_is_named(router: FactorRouter, many: Dataset) -> None:
    vectors = router.vectors(many)[:3].copy()
    vectors[1, 0] = np.nan
    with pytest.raises(RouterError, match="vector 1 has a value that is not finite"):
        router.rank(vectors)
