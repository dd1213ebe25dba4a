"""What single routers promise beyond the contract."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from recroute.data import Dataset, InteractionMatrix, Precomputed
from recroute.errors import RecrouteError
from recroute.retrieval import Neighbors
from recroute.routers import make_router
from recroute.routers.three_states import to_confidence
from recroute.testing import planted_dataset

NAN = float("nan")


def test_confidences_keep_the_three_states_apart() -> None:
    coded = to_confidence(InteractionMatrix.from_dense([[1.0, 0.0, NAN, 0.25, 0.5]]), alpha=8.0)
    assert coded.toarray().tolist() == [[8.0, -8.0, 0.0, -4.0, 0.0]]
    assert coded.nnz == 3  # an even score says nothing and is not stored


def test_implicit_reads_the_coding_as_documented() -> None:
    from implicit.cpu.als import AlternatingLeastSquares

    cells = np.array([[1.0, 0.0, NAN]] * 30 + [[0.0, 1.0, NAN]] * 30)
    coded = to_confidence(InteractionMatrix.from_dense(cells), alpha=10.0)
    with threadpool_limits(limits=1, user_api="blas"):
        model = AlternatingLeastSquares(factors=3, regularization=0.01, alpha=1.0, num_threads=1, random_state=0)
        model.fit(coded, show_progress=False)
    predicted = model.user_factors @ model.item_factors.T
    np.testing.assert_allclose(predicted[0], [1, 0, 0], atol=0.1)
    np.testing.assert_allclose(predicted[-1], [0, 1, 0], atol=0.1)


def test_neighbours_equal_a_plain_search() -> None:
    rng = np.random.default_rng(0)
    vectors, queries = rng.normal(size=(200, 8)).astype(np.float32), rng.normal(size=(30, 8)).astype(np.float32)
    cosine = (queries / np.linalg.norm(queries, axis=1, keepdims=True)) @ (
        vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    ).T
    index, similarity = Neighbors(vectors).search(queries, 7)
    np.testing.assert_array_equal(index, np.argsort(-cosine, axis=1)[:, :7])
    np.testing.assert_allclose(similarity, -np.sort(-cosine, axis=1)[:, :7], atol=1e-6)


def test_equal_neighbours_come_by_rising_index() -> None:
    index, _ = Neighbors(np.ones((9, 4), dtype=np.float32)).search(np.ones((1, 4), dtype=np.float32), 9)
    assert index.tolist() == [list(range(9))]


def test_knn_is_the_mean_of_its_neighbours_and_the_llm_mean_stands_in_for_missing_cells() -> None:
    data = planted_dataset(n_instances=60, missing=0.3)
    router = make_router("knn", n_neighbors=7).fit(data)
    vectors, scores = router.vectors(data), data.interactions.dense()
    near, _ = Neighbors(vectors).search(vectors, 7)
    filled = np.where(np.isnan(scores), router.llm_mean_, scores)
    np.testing.assert_allclose(router.score(data), filled[near].mean(axis=1), atol=1e-6)


def test_more_neighbours_than_prompts_are_all_prompts(planted: Dataset) -> None:
    predicted = make_router("knn", n_neighbors=10_000).fit(planted).score(planted)
    np.testing.assert_allclose(predicted[0], planted.interactions.dense().mean(axis=0), atol=1e-5)


def test_oracle_mix_lies_between_random_and_oracle() -> None:
    data = planted_dataset(missing=0.2)
    scores = data.interactions.dense()
    values = [make_router("oracle_mix", p=p).fit(data).expected_score(scores) for p in (0.0, 0.25, 0.5, 0.75, 1.0)]
    mu = [float(np.mean(value)) for value in values if value is not None]
    assert len(mu) == 5
    np.testing.assert_allclose(np.diff(mu, 2), 0, atol=1e-12)  # a straight line
    assert mu[0] == pytest.approx(np.nanmean(scores, axis=1).mean())
    assert mu[-1] == pytest.approx(np.nanmax(scores, axis=1).mean())


def test_sampled_oracle_mix_agrees_with_the_closed_form_within_sampling_error() -> None:
    data = planted_dataset(n_instances=300)
    scores = data.interactions.dense()
    expected = make_router("oracle_mix", p=0.5).fit(data).expected_score(scores)
    assert expected is not None
    sampled = []
    for seed in range(60):
        choice = make_router("oracle_mix", p=0.5, seed=seed).fit(data).rank(data).llm_index[:, 0]
        sampled.append(scores[np.arange(300), choice].mean())
    error = np.std(sampled) / np.sqrt(len(sampled))
    assert abs(np.mean(sampled) - expected.mean()) < 4 * error


def test_oracle_distribution_is_the_share_of_the_scores() -> None:
    shares = make_router("oracle").distribution(np.float32([[1, 0, 1], [0, 0, 0], [0.5, 0.25, -np.inf]]))
    np.testing.assert_allclose(shares, [[0.5, 0, 0.5], [1 / 3] * 3, [2 / 3, 1 / 3, 0]])


def test_task_best_falls_back_to_the_means_for_an_unknown_task(planted: Dataset) -> None:
    router = make_router("task_best").fit(planted)
    other = dataclasses.replace(
        planted, instances=planted.instances.with_columns(task="never seen" + planted.instances["task"])
    )
    np.testing.assert_allclose(router.score(other), np.tile(router.llm_mean_, (planted.n_instances, 1)), rtol=1e-6)


@pytest.mark.parametrize("name", ["svd", "als", "knn", "bpr", "lmf", "item_knn", "lightfm", "ease"])
def test_the_fit_does_not_depend_on_the_number_of_threads(name: str, planted: Dataset) -> None:
    results = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            results.append(make_router(name).fit(planted).score(planted))
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("name", ["svd", "als", "knn", "bpr", "lmf", "item_knn", "lightfm", "ease"])
def test_a_raw_prompt_is_routed_by_its_text(name: str, planted: Dataset) -> None:
    router = make_router(name).fit(planted)
    chosen = router.rank(["please translate the sentence number 7", "compile the program number 1"]).names
    assert chosen[0][0] in ("llm-1", "llm-4")
    assert chosen[1][0] in ("llm-2", "llm-5")


def test_precomputed_vectors_cannot_encode_new_text(planted: Dataset) -> None:
    vectors = np.eye(3, dtype=np.float32)[np.arange(planted.n_instances) % 3]
    router = make_router("svd").fit(planted.with_embeddings(vectors, Precomputed("an-encoder")))
    assert router.rank(vectors[:3]).llm_index.shape == (3, 1)
    with pytest.raises(RecrouteError, match="encoder='tfidf'"):
        router.rank(["a prompt"])


def test_text_routers_refuse_data_without_text(planted: Dataset) -> None:
    bare = dataclasses.replace(planted, instances=planted.instances.drop("prompt"))
    with pytest.raises(RecrouteError, match="knn reads text, and planted has neither prompts nor embeddings"):
        make_router("knn").fit(bare)


def test_bounds_cannot_route_a_prompt(planted: Dataset) -> None:
    with pytest.raises(RecrouteError, match="bound for evaluation"):
        make_router("oracle").fit(planted).rank(["a prompt"])


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("svdd", {}, "unknown router 'svdd': did you mean 'svd'"),
        ("svd", {"n_factor": 3}, "did you mean 'n_factors'"),
        ("svd", {"n_factors": "many"}, "n_factors='many' is not int"),
        ("svd", {"n_factors": 0}, "n_factors=0 must be at least 1"),
        ("oracle_mix", {"p": 1.5}, "p=1.5 must be between 0 and 1"),
        ("nowhere.toml", {}, "nowhere.toml cannot be read"),
    ],
)
def test_bad_names_and_values_are_refused(name: str, values: dict[str, object], message: str) -> None:
    with pytest.raises(RecrouteError, match=message):
        make_router(name, **values)


def test_a_configuration_file_names_router_and_hyperparameters(tmp_path: Path) -> None:
    path = tmp_path / "best.toml"
    path.write_text('router = "svd"\nn_factors = 2\n', "utf8")
    assert make_router(str(path)).label == make_router("svd", n_factors=2).label
    path.write_text("n_factors = 2\n", "utf8")
    with pytest.raises(RecrouteError, match="does not name a router"):
        make_router(str(path))


@pytest.mark.parametrize("annotation", [float, "float"])
def test_hyperparameters_are_converted_whether_annotations_are_text_or_types(
    annotation: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recroute.routers.svd import SVD

    monkeypatch.setitem(SVD.__annotations__, "reg", annotation)
    assert make_router("svd", reg="2.5").reg == 2.5
