"""The protocol of scikit-learn, prompts with a matrix of scores, and rankings and data sets as sequences and tables."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

import recroute as rr
from recroute.errors import DataError, RecrouteError, RouterError, UnknownNameError


@pytest.fixture(scope="module")
def data() -> rr.Dataset:
    return rr.simulate(n_llms=6, n_instances=150, seed=0)


@pytest.mark.parametrize("name", rr.router_names())
def test_every_router_clones_with_its_hyperparameters(name: str) -> None:
    router = rr.make_router(name, seed=3)
    copy = clone(router)
    assert type(copy) is type(router)
    assert copy is not router
    assert copy.get_params() == router.get_params() == router.hyperparameters()


def test_set_params_checks_and_converts() -> None:
    router = rr.make_router("knn")
    assert router.set_params(n_neighbors="30") is router
    assert router.label == "knn(n_neighbors=30)"
    with pytest.raises(UnknownNameError, match="n_neighbours"):
        router.set_params(n_neighbours=3)
    with pytest.raises(RecrouteError, match="n_neighbors"):
        router.set_params(n_neighbors=0)
    assert router.n_neighbors == 30


def test_predict_is_the_first_of_the_ranking(data: rr.Dataset) -> None:
    router = rr.make_router("svd").fit(data)
    some = data.prompts[:5]
    assert router.predict(some).tolist() == [names[0] for names in router.rank(some).names]
    assert router.predict(some, llms=[data.llm_ids.ids[2]]).tolist() == [data.llm_ids.ids[2]] * 5
    np.testing.assert_array_equal(router.predict_scores(some), router.score(some))
    assert router.llm_factors.shape[0] == 6
    with pytest.raises(RouterError, match="not fitted"):
        _ = rr.make_router("svd").llm_factors


@pytest.mark.parametrize("form", ["array", "csr", "pandas", "polars", "list"])
def test_prompts_and_scores_fit_like_a_dataset(data: rr.Dataset, form: str) -> None:
    scores, ids = data.interactions.dense(), list(data.llm_ids)
    given = {
        "array": lambda: scores,
        "csr": lambda: sp.csr_array(
            (scores.ravel(), np.tile(np.arange(6), 150), np.arange(0, 6 * 150 + 1, 6)), shape=(150, 6)
        ),
        "pandas": lambda: pd.DataFrame(scores, columns=ids),
        "polars": lambda: pl.DataFrame(scores, schema=ids),
        "list": lambda: scores.tolist(),
    }[form]()
    named = {} if form in ("pandas", "polars") else {"llm_ids": ids}
    router = rr.make_router("hierarchy", views="tfidf").fit(data.prompts, given, **named)
    bare = rr.Dataset.from_matrix(
        scores, ids, range(150), instances={"instance_id": range(150), "prompt": data.prompts}
    )
    expected = rr.make_router("hierarchy", views="tfidf").fit(bare)
    assert router.llm_ids_.ids == tuple(ids)
    np.testing.assert_allclose(router.score(data.prompts), expected.score(data.prompts), atol=1e-6)


def test_vectors_and_scores(data: rr.Dataset) -> None:
    vectors = np.random.default_rng(0).normal(size=(150, 4)).astype(np.float32)
    router = rr.make_router("ridge").fit(vectors, data.interactions.dense())
    assert router.llm_ids_.ids[:2] == ("llm_0", "llm_1")
    assert router.score(vectors[:3]).shape == (3, 6)


@pytest.mark.parametrize(
    ("train", "scores", "llm_ids", "says"),
    [
        (["a", "b"], [[1.0, 0.0]], None, "2 prompts for 1 rows"),
        (["a"], [[1.0, 0.0]], ["x"], "1 llm ids for 2 llms"),
        (["a"], [[1.0, 2.0]], None, "between 0 and 1|0 to 1|outside"),
        (["a"], None, None, "without scores"),
        (["a"], [["x", "y"]], None, "real numbers"),
        ([1], [[1.0]], None, "prompts"),
    ],
)
def test_what_does_not_fit_together_is_one_line(train, scores, llm_ids, says: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=says):
        rr.make_router("best_single").fit(train, scores, llm_ids=llm_ids)


def test_a_dataset_has_its_own_scores(data: rr.Dataset) -> None:
    with pytest.raises(DataError, match="of its own"):
        rr.make_router("best_single").fit(data, data.interactions.dense())


def test_cross_validation_over_a_dataset_and_over_prompts(data: rr.Dataset) -> None:
    router = rr.make_router("best_single")
    by_data = cross_val_score(router, data, scoring=rr.mean_score, cv=3)
    by_parts = cross_val_score(router, data.prompts, data.interactions.dense(), scoring=rr.mean_score, cv=3)
    dense = data.interactions.dense()
    expected = [
        dense[rows, np.delete(dense, rows, axis=0).mean(axis=0).argmax()].mean() for rows in np.split(np.arange(150), 3)
    ]
    np.testing.assert_allclose(by_data, expected, atol=1e-6)
    np.testing.assert_allclose(by_parts, expected, atol=1e-6)
    search = GridSearchCV(rr.make_router("knn"), {"n_neighbors": [5, 40]}, scoring=rr.mean_score, cv=3).fit(data)
    assert search.best_score_ == pytest.approx(max(search.cv_results_["mean_test_score"]))
    assert search.predict(data.prompts[:2]).shape == (2,)


def test_mean_score_is_of_what_was_evaluated(data: rr.Dataset) -> None:
    scores = data.interactions.dense().copy()
    router = rr.make_router("best_single").fit(data)
    best, second = np.argsort(-scores.mean(axis=0), kind="stable")[:2]
    scores[:50, best] = np.nan
    scores[140:] = np.nan
    expected = np.concatenate([scores[:50, second], scores[50:140, best]]).mean()
    assert rr.mean_score(router, data.prompts, scores) == pytest.approx(expected)
    assert np.isnan(rr.mean_score(router, data.prompts[:1], np.full((1, 6), np.nan)))
    with pytest.raises(DataError, match="needs observed scores"):
        rr.mean_score(router, data.prompts)


def test_a_ranking_is_a_sequence_and_a_table(data: rr.Dataset) -> None:
    ranking = rr.make_router("svd").fit(data).rank(data.prompts[:4], 3)
    assert len(ranking) == 4
    assert [[name for name, _ in row] for row in ranking] == ranking.names
    assert ranking[-1] == ranking[3]
    assert ranking[1:3].names == ranking.names[1:3]
    with pytest.raises(IndexError):
        _ = ranking[4]
    table = ranking.to_polars()
    assert table.columns == ["instance", "place", "llm_id", "predicted_score"]
    assert table.filter(instance=2)["llm_id"].to_list() == ranking.names[2]
    assert table["place"].to_list() == [1, 2, 3] * 4
    assert ranking.to_pandas().shape == (12, 4)


def test_a_dataset_is_indexed_like_its_matrix(data: rr.Dataset) -> None:
    assert data.shape == (150, 6)
    assert len(data) == 150
    dense = data.interactions.dense()
    np.testing.assert_array_equal(data[10:20].interactions.dense(), dense[10:20])
    np.testing.assert_array_equal(data[:, [2, 0]].interactions.dense(), dense[:, [2, 0]])
    np.testing.assert_array_equal(data[dense[:, 0] > 0, 1:].interactions.dense(), dense[dense[:, 0] > 0, 1:])
    assert data[7].instance_ids.ids == (data.instance_ids.ids[7],)
    assert data.to_pandas().shape == (900, 4)
    assert rr.Dataset.from_records(data.to_polars()).shape == (150, 6)
