import numpy as np
from sklearn.mixture import GaussianMixture

from recroute.data import Dataset, InteractionMatrix
from recroute.routers import make_router
from recroute.splits import split_dataset
from recroute.testing import planted_dataset


def test_on_complete_data_it_chooses_the_best_llm_of_the_cluster_as_routereval_does(planted: Dataset) -> None:
    parts = split_dataset(planted)
    router = make_router("cluster", seed=3).fit(parts.train)
    X, new = router.vectors(parts.train).astype(np.float64), router.vectors(parts.test).astype(np.float64)
    mixture = GaussianMixture(n_components=3, random_state=3)
    member = mixture.fit_predict(X)
    scores = parts.train.interactions.dense()
    best = np.array([scores[member == k].mean(axis=0).argmax() for k in range(3)])
    np.testing.assert_array_equal(router.rank(parts.test).llm_index[:, 0], best[mixture.predict(new)])
    np.testing.assert_allclose(
        mixture.predict_proba(new).max(axis=1), 1, atol=1e-4
    )  # why `distribution` is all or none
    assert router.distribution(router.score(parts.test)).max(axis=1).tolist() == [1] * parts.test.n_instances


def test_unobserved_cells_do_not_count_and_the_llm_mean_stands_in_for_an_empty_cluster() -> None:
    data = planted_dataset(noise=0.0)
    cells = data.interactions.dense()
    first = data.tasks == data.tasks[0]
    cells[first, 0] = np.nan  # LLM 0 would solve them all
    cells[first & (np.arange(len(cells)) % 2 == 0), 3] = np.nan  # LLM 3 solves them all, half are not evaluated
    gaps = Dataset("gaps", InteractionMatrix.from_dense(cells), data.instances, data.llms)
    router = make_router("cluster").fit(gaps)
    predicted = router.score(gaps)[first]
    np.testing.assert_allclose(predicted[:, 0], router.llm_mean_[0], rtol=1e-6)
    np.testing.assert_array_equal(predicted[:, 3], 1)
    np.testing.assert_array_equal(predicted[:, 1], 0)


def test_more_clusters_than_prompts_are_cut(planted: Dataset) -> None:
    few = planted.take_instances(np.arange(4))
    router = make_router("cluster", n_clusters=9).fit(few)
    assert router.score(few).shape == (4, planted.n_llms)


def test_equal_prompts_are_one_cluster_without_a_warning() -> None:
    data = planted_dataset(n_instances=12)
    same = data.with_embeddings(np.ones((12, 2), dtype=np.float32), make_router("knn").fit(data).encoder_)
    predicted = make_router("cluster").fit(same).score(same)
    assert (predicted == predicted[0]).all()
