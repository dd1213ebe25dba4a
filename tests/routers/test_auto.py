"""auto and guarded: weights and thresholds from prompts that the parts were not fitted on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, InteractionMatrix, Precomputed
from recroute.errors import RecrouteError
from recroute.evaluation.run import evaluate
from recroute.experiment.prepare import prepare_split
from recroute.routers import load_router, make_router
from recroute.routers.auto import stacking_weights
from recroute.routers.parts import out_of_fold
from recroute.splits import split_dataset
from recroute.testing import drawn_preferences, planted_dataset


def test_stacking_finds_planted_weights() -> None:
    rng = np.random.default_rng(0)
    predicted = rng.random((3, 200, 10)).astype(np.float32)
    scores = (0.7 * predicted[0] + 0.3 * predicted[2] + 0.01 * rng.normal(size=(200, 10))).astype(np.float32)
    scores[rng.random(scores.shape) < 0.3] = np.nan
    np.testing.assert_allclose(
        stacking_weights(predicted, InteractionMatrix.from_dense(scores)), [0.7, 0, 0.3], atol=0.01
    )


def test_stacking_is_the_least_squares_point_of_the_simplex() -> None:
    rng = np.random.default_rng(1)
    predicted = rng.random((2, 50, 4)).astype(np.float32)
    scores = rng.random((50, 4)).astype(np.float32)
    weight = stacking_weights(predicted, InteractionMatrix.from_dense(scores))
    centred = [block - block.mean(axis=1, keepdims=True) for block in (*predicted, scores)]
    errors = [((a * centred[0] + (1 - a) * centred[1] - centred[2]) ** 2).sum() for a in np.linspace(0, 1, 1001)]
    assert weight.sum() == pytest.approx(1)
    assert weight[0] == pytest.approx(np.argmin(errors) / 1000, abs=2e-3)


def test_how_hard_a_prompt_is_does_not_choose_the_weights() -> None:
    rng = np.random.default_rng(2)
    predicted = rng.random((2, 100, 5)).astype(np.float32)
    scores = predicted[0].copy()
    difficulty = 10 * rng.random((100, 1)).astype(np.float32)
    np.testing.assert_allclose(
        stacking_weights(predicted, InteractionMatrix.from_dense(scores + difficulty)), [1, 0], atol=1e-4
    )


def test_no_part_has_seen_the_prompts_it_predicts() -> None:
    """One nearest neighbour by vectors that tell prompts apart remembers train, and knows nothing out of fold."""
    vectors = np.random.default_rng(0).normal(size=(240, 30)).astype(np.float32)
    data = planted_dataset(noise=0.3).with_embeddings(vectors, Precomputed("foreign"))
    part = make_router("knn", n_neighbors=1)
    predicted, best = out_of_fold([part], data, 4, seed=0)
    scores = data.interactions.dense()
    assert ((part.fit(data).score(data) - scores) ** 2).mean() < 0.05
    assert ((predicted[0] - scores) ** 2).mean() > 0.3
    assert best.shape == (data.n_instances,)


def test_a_guard_leaves_a_good_router_alone(planted: Dataset) -> None:
    parts = prepare_split(planted, seed=0)
    guarded = make_router("guarded", router="svd").fit(parts.train)
    assert np.isfinite(guarded.z_).all()
    free = make_router("svd").fit(parts.train).rank(parts.test).llm_index[:, 0]
    kept = guarded.rank(parts.test).llm_index[:, 0]
    assert (planted.interactions.dense()[0].shape[0], (free % 3 == kept % 3).mean()) == (6, 1.0)


def test_by_default_it_is_the_guarded_hierarchy(planted: Dataset) -> None:
    router, guarded = make_router("auto").fit(planted), make_router("guarded", router="hierarchy", views="all")
    assert (router.part_names(), router.weight_.tolist()) == (["hierarchy"], [1])
    np.testing.assert_array_equal(router.score(planted), guarded.fit(planted).score(planted))


def test_a_part_of_the_pool_is_held_to_the_best_single_llm_as_all_of_it(planted: Dataset) -> None:
    """At every threshold, whether or not the best single LLM is in the pool."""
    router = make_router("guarded", router="svd").fit(planted)
    others = np.setdiff1d(np.arange(6), router.best_)
    for z in (0.0, 3.0, 20.0, np.inf):
        router.z_ = np.array([z])
        np.testing.assert_allclose(router.score(planted, others), router.score(planted)[:, others], atol=1e-6)


def test_an_llm_without_a_standard_error_is_never_ahead(planted: Dataset) -> None:
    router = make_router("guarded", router="svd").fit(planted)
    other = int(router.best_[0] == 0)
    router.z_, router.error_[other] = np.zeros(1), np.inf
    score = router.score(planted)
    assert (score[:, other] <= score[:, router.best_[0]]).all()


def test_a_guard_stops_a_router_that_knows_nothing() -> None:
    """With foreign texts the five nearest neighbours are below the best single LLM; guarded, they are not."""
    data = planted_dataset(n_instances=600, n_llms=12, noise=0.2)
    scores = data.interactions.dense()
    scores[:, 0] = np.random.default_rng(0).random(600) < 0.8  # one LLM is clearly the best
    data = replace(data, interactions=InteractionMatrix.from_dense(scores))
    found = evaluate(data, ["guarded", "auto"], seeds=range(3), shuffle="text")
    assert found.value("knn", "lift") < -0.01
    assert found.value("guarded", "lift") > -0.01
    assert found.value("auto", "lift") > -0.01


def test_a_guarded_pool_without_the_best_single_llm_still_routes(planted: Dataset) -> None:
    router = make_router("guarded", router="svd").fit(planted)
    others = np.setdiff1d(np.arange(6), router.best_)
    assert set(router.rank(planted, llms=others).llm_index.ravel()) <= set(others.tolist())


def test_an_infinite_guard_is_the_best_single_llm() -> None:
    data = planted_dataset()
    router = make_router("guarded", router="svd").fit(data)
    router.z_ = np.array([np.inf])
    assert set(router.rank(data).llm_index.ravel().tolist()) == set(router.best_.tolist())


def test_parts_can_be_named_with_their_settings(planted: Dataset) -> None:
    router = make_router("auto(router=best_single + guarded(router=knn(n_neighbors=9)) + svd(n_factors=2))")
    assert [part.label for part in router.make_parts()] == [
        "best_single",
        "guarded(router=knn(n_neighbors=9))",
        "svd(n_factors=2)",
    ]
    assert router.fit(planted).weight_.sum() == pytest.approx(1)


@pytest.mark.parametrize(("name", "said"), [("auto(router=knn + nothing)", "nothing"), ("auto(knn)", "name=value")])
def test_a_part_that_does_not_exist_is_one_clear_line(planted: Dataset, name: str, said: str) -> None:
    with pytest.raises(RecrouteError, match=said):
        make_router(name).fit(planted)


def test_preferences_alone_are_enough(tmp_path: Path) -> None:
    split = split_dataset(planted_dataset(noise=0.0))
    told = drawn_preferences(split.train, 3000, noise=0.1)
    router = make_router("auto").fit(told)
    assert router.part_names() == ["bradley_terry(views=all)"]
    choice = router.rank(split.test).llm_index[:, 0]
    assert split.test.interactions.dense()[np.arange(len(choice)), choice].mean() > 0.9
    router.save(tmp_path / "r")
    np.testing.assert_array_equal(load_router(tmp_path / "r").score(split.test), router.score(split.test))
    with pytest.raises(RecrouteError, match="on preferences alone"):
        router.add_llms(None, pl.DataFrame({"llm_id": ["new"]}))
    fewer = router.remove_llms(["llm-0"])
    np.testing.assert_array_equal(fewer.score(split.test), router.score(split.test)[:, 1:])


def test_what_learns_from_scores_says_so() -> None:
    told = drawn_preferences(planted_dataset(), 100)
    for name in ("knn", "guarded", "calibrated", "random"):
        with pytest.raises(RecrouteError, match=f"{name} learns from scores, and planted has only pref"):
            make_router(name).fit(told)


def test_preferences_beside_scores_are_a_part_of_it(tmp_path: Path) -> None:
    data = planted_dataset(n_instances=400, noise=0.2)
    fought = drawn_preferences(data, 4000).preferences
    scores = data.interactions.dense()
    scores[60:] = np.nan  # few scores, many battles
    few = replace(data, interactions=InteractionMatrix.from_dense(scores))
    router = make_router("auto").fit(replace(few, preferences=fought))
    assert list(router.part_names())[-1] == "bradley_terry(views=all)"
    assert router.weight_[-1] > 0.1
    router.save(tmp_path / "r")
    test = planted_dataset(noise=0.0, seed=3)
    np.testing.assert_array_equal(load_router(tmp_path / "r").score(test), router.score(test))
    choice = router.rank(test).llm_index[:, 0]
    assert test.interactions.dense()[np.arange(len(choice)), choice].mean() > 0.9


def test_scores_alone_are_fitted_as_if_there_were_no_preferences() -> None:
    data = planted_dataset()
    fought = drawn_preferences(data, 0).preferences
    assert make_router("auto").fit(replace(data, preferences=fought)).part_names() == make_router("auto").part_names()
    battled = drawn_preferences(data, 500).preferences
    with_both = make_router("knn").fit(replace(data, preferences=battled))
    np.testing.assert_array_equal(with_both.score(data), make_router("knn").fit(data).score(data))
