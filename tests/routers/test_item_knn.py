import numpy as np

from recroute.data import InteractionMatrix
from recroute.retrieval import Neighbors
from recroute.routers import make_router
from recroute.routers.item_knn import similar_llms
from recroute.routers.residual import residual_scores
from recroute.testing import planted_dataset


def test_weights_are_the_largest_cosines_scaled_to_one(rng: np.random.Generator) -> None:
    residual = rng.normal(size=(50, 8))
    unit = residual / np.linalg.norm(residual, axis=0)
    cosine = unit.T @ unit
    kept = np.where(cosine >= -np.sort(-cosine, axis=1)[:, 2:3], cosine, 0).clip(min=0)
    np.testing.assert_allclose(similar_llms(residual, 3).toarray(), kept / kept.sum(axis=1, keepdims=True), rtol=1e-5)


def test_an_llm_without_residuals_has_only_itself(rng: np.random.Generator) -> None:
    residual = rng.normal(size=(20, 4))
    residual[:, 1] = 0
    np.testing.assert_allclose(similar_llms(residual, 3).toarray()[1], [0, 1, 0, 0])


def test_with_one_similar_llm_it_is_knn_on_complete_data() -> None:
    data = planted_dataset(n_instances=90)
    ours = make_router("item_knn", n_neighbors=7, n_similar=1).fit(data).score(data)
    np.testing.assert_allclose(ours, make_router("knn", n_neighbors=7).fit(data).score(data), atol=1e-5)


def test_an_unobserved_cell_counts_as_the_mean_and_the_ease_of_its_instance() -> None:
    data = planted_dataset(n_instances=90, missing=0.3)
    router = make_router("item_knn", n_neighbors=7, n_similar=1).fit(data)
    near, _ = Neighbors(router.vectors(data)).search(router.vectors(data), 7)
    mean, ease, residual = residual_scores(data)
    filled = mean + ease[:, None] + np.nan_to_num(residual)
    np.testing.assert_allclose(router.score(data), filled[near].mean(axis=1), atol=1e-5)


def test_a_twin_lends_its_scores_where_an_llm_was_not_evaluated() -> None:
    data = planted_dataset(n_instances=240, noise=0.0)
    block = data.interactions.dense()
    block[data.tasks == "compile", 5] = np.nan  # LLM 5 solves those, as its twin LLM 2 does
    data = type(data)("gap", InteractionMatrix.from_dense(block), data.instances, data.llms)
    alone, helped = (make_router("item_knn", n_similar=k).fit(data).score(data)[:, 5] for k in (1, 2))
    compile_ = data.tasks == "compile"
    assert helped[compile_].mean() > alone[compile_].mean() + 0.1
