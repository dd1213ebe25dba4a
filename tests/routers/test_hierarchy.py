"""hierarchy: finds tasks and what lies below them, and nothing where there is nothing."""

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from recroute.data import Dataset, InteractionMatrix, Precomputed
from recroute.experiment.prepare import prepare_split
from recroute.routers import make_router
from recroute.routers.text_views import fit_text_views
from recroute.testing import planted_dataset
from recroute.util.state import arrays_of


def many(n: int = 300, m: int = 200, *, signal: float, seed: int = 0) -> Dataset:
    """LLMs of close means; with `signal`, each half of them is better on one half of the prompts."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 8)).astype(np.float32)
    side = np.sign(vectors[:, :1]) * np.where(np.arange(m) < m // 2, 1, -1)
    scores = (rng.random((n, m)) < 0.5 + 0.1 * rng.random(m) + signal * side).astype(np.float32)
    instances = pl.DataFrame({"instance_id": [f"i{i}" for i in range(n)], "task": ["all"] * n})
    llms = pl.DataFrame({"llm_id": [f"l{j:03d}" for j in range(m)]})
    data = Dataset("many", InteractionMatrix.from_dense(scores), instances, llms)
    return data.with_embeddings(vectors, Precomputed("some"))


def test_many_llms_tell_together_what_one_alone_cannot() -> None:
    data = many(signal=0.15)
    router = make_router("hierarchy").fit(data.take_instances(np.arange(200)))
    test = data.take_instances(np.arange(200, 300))
    choice = router.rank(test).llm_index[:, 0]
    assert test.embeddings is not None
    right = (choice < 100) == (test.embeddings[:, 0] > 0)
    assert right.mean() > 0.85


def test_text_that_says_nothing_leaves_the_means() -> None:
    """What is predicted beside the means is less than half of the sampling error of a mean over the prompts."""
    data = many(signal=0.0)
    router = make_router("hierarchy").fit(data)
    beside = router.score(data) - router.llm_mean_
    assert (beside - beside.mean(axis=1, keepdims=True)).std() < 0.5 * np.sqrt(0.25 / data.n_instances)


def test_tasks_are_read_from_the_text(planted: Dataset) -> None:
    router = make_router("hierarchy").fit(planted)
    shares = router.views_.task_shares(router.vectors(["multiply the integers 7", "compile the program 8"]))
    assert shares.shape == (2, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    names = np.unique(planted.tasks)
    assert [names[i] for i in shares.argmax(axis=1)] == ["multiply", "compile"]


def test_one_task_only_is_no_task(planted: Dataset) -> None:
    data = many(signal=0.1)
    assert data.embeddings is not None
    views, known = fit_text_views(data.embeddings, data.tasks, 0)
    assert known.shape == (300, 0)
    assert set(views(data.embeddings)) == {"text", "near"}


def test_unobserved_cells_are_not_failures() -> None:
    """Half of the cells hidden: the ranking stays that of the complete data, and means do not fall."""
    complete, sparse = planted_dataset(n_instances=600), planted_dataset(n_instances=600, missing=0.5)
    parts = prepare_split(sparse, seed=0)
    router = make_router("hierarchy").fit(parts.train)
    test = complete.take_instances(complete.instance_ids.to_index(list(parts.test.instance_ids.ids)))
    choice = router.rank(parts.test).llm_index[:, 0]
    scores = test.interactions.dense()
    assert scores[np.arange(len(scores)), choice].mean() > 0.85
    assert router.score(parts.test).mean() == pytest.approx(scores.mean(), abs=0.05)


@pytest.mark.parametrize("name", ["hierarchy", "ridge", "auto", "guarded"])
def test_the_number_of_threads_changes_nothing(name: str, planted: Dataset) -> None:
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(limits=n_threads):
            found.append(arrays_of(make_router(name, seed=3).fit(planted)))
    for key, array in found[0].items():
        np.testing.assert_array_equal(array, found[1][key], err_msg=key)


def test_ridge_is_the_dense_solve(planted: Dataset) -> None:
    router = make_router("ridge", reg=2.0).fit(planted)
    X = router.vectors(planted).astype(np.float64)
    Y = planted.interactions.dense().astype(np.float64)
    Xc = X - X.mean(axis=0)
    weight = np.linalg.solve(Xc.T @ Xc + 2 * np.eye(X.shape[1]), Xc.T @ (Y - Y.mean(axis=0)))
    np.testing.assert_allclose(router.score(planted), Y.mean(axis=0) + Xc @ weight, atol=1e-5)
