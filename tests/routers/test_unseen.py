"""Unseen LLMs in routers: what the contract's tests do not say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, InteractionMatrix
from recroute.data.sources import simulate
from recroute.errors import RecrouteError
from recroute.retrieval.llm_index import LLMIndex
from recroute.routers import Router, load_router, make_router
from recroute.routers.factors import FactorRouter
from recroute.routers.guarded import Guarded
from recroute.routers.hierarchy import Hierarchy
from recroute.routers.kmeans import KMeans
from recroute.routers.memory.prior import LLMPrior
from recroute.util.state import arrays_of

M = 40  # LLMs that are known


@pytest.fixture(scope="module")
def world() -> Dataset:
    return simulate(n_instances=300, n_llms=M + 4, seed=3)


@pytest.fixture(scope="module")
def known(world: Dataset) -> Dataset:
    return world.take_llms(np.arange(M))


def all_scores(world: Dataset) -> tuple[InteractionMatrix, pl.DataFrame]:
    new = np.arange(M, M + 4)
    return world.interactions.take_llms(new), world.llms[new]


def some_scores(world: Dataset, k: int) -> InteractionMatrix:
    block = world.interactions.dense()[:, M:]
    block[np.random.default_rng(0).permutation(len(block))[k:]] = np.nan
    return InteractionMatrix.from_dense(block)


def test_factors_of_a_new_llm_are_the_dense_solve(world: Dataset, known: Dataset) -> None:
    router = make_router("svd").fit(known)
    assert isinstance(router, FactorRouter)
    grown = router.add_llms(*all_scores(world))
    S = known.interactions.dense().astype(np.float64)
    left = np.linalg.svd(S - S.mean(axis=0), full_matrices=False)[0][:, : router.n_factors]
    new = world.interactions.dense()[:, M:].astype(np.float64)
    exact = left.T @ (new - new.mean(axis=0))  # with orthonormal columns that is the least-squares solution
    U = router.instance_factors_.astype(np.float64)
    np.testing.assert_allclose(U @ grown.llm_factors_[M:].T, left @ exact, atol=1e-3)
    np.testing.assert_allclose(grown.bias_[M:], new.mean(axis=0), atol=1e-6)


def test_components_of_a_new_llm_are_those_of_a_known_one_with_its_scores(known: Dataset) -> None:
    router = make_router("hierarchy").fit(known)
    assert isinstance(router, Hierarchy)
    grown = router.add_llms(known.interactions.take_llms(np.arange(3)), pl.DataFrame({"llm_id": ["a", "b", "c"]}))
    np.testing.assert_allclose(grown.bias_[M:], router.bias_[:3], atol=1e-6)
    np.testing.assert_allclose(grown.score(known)[:, M:], router.score(known)[:, :3], atol=1e-4)


def test_clusters_of_a_new_llm_are_those_of_a_known_one_with_its_scores(known: Dataset) -> None:
    router = make_router("kmeans", n_clusters=4, strength=3).fit(known)
    assert isinstance(router, KMeans)
    grown = router.add_llms(known.interactions.take_llms(np.arange(3)), pl.DataFrame({"llm_id": ["a", "b", "c"]}))
    np.testing.assert_allclose(grown.feature_[:, M:], router.feature_[:, :3], atol=1e-6)


@pytest.mark.parametrize("name", ["svd", "als", "lmf", "irt", "kmeans", "ridge", "hierarchy", "ease", "knn", "auto"])
def test_with_all_scores_it_comes_close_to_a_fit_with_them(name: str, world: Dataset, known: Dataset) -> None:
    fitted = make_router(name).fit(world).score(world)[:, M:]
    added = make_router(name).fit(known).add_llms(*all_scores(world)).score(world)[:, M:]
    assert np.corrcoef(fitted.ravel(), added.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("name", ["svd", "auto"])
def test_sixteen_scores_tell_more_than_none(name: str, world: Dataset, known: Dataset) -> None:
    router, truth = make_router(name).fit(known), world.interactions.dense()[:, M:]

    def error(k: int) -> float:
        predicted = router.add_llms(some_scores(world, k), world.llms[M:]).score(world)[:, M:]
        return float(((predicted - truth) ** 2).mean())

    assert error(16) < error(0)


def test_observed_scores_stand_among_the_neighbours(known: Dataset) -> None:
    router = make_router("knn", n_neighbors=1).fit(known)
    scores = 1 - known.interactions.dense()[:, :1]  # like no known LLM
    grown = router.add_llms(InteractionMatrix.from_dense(scores), pl.DataFrame({"llm_id": ["contrary"]}))
    assert np.abs(grown.score(known, llms=["contrary"]) - scores).mean() < 0.02  # a few prompts occur twice


def test_tasks_of_a_new_llm_are_what_is_expected_there(world: Dataset, known: Dataset) -> None:
    grown = make_router("task_best").fit(known).add_llms(*all_scores(world))
    block = world.interactions.dense()
    for task in np.unique(world.tasks):
        rows = np.flatnonzero(world.tasks == task)
        predicted = grown.score(world.take_instances(rows[:1]))[0, M:]
        np.testing.assert_allclose(predicted, block[rows, M:].mean(axis=0), atol=1e-5)


def test_less_known_is_further_to_be_ahead(world: Dataset, known: Dataset) -> None:
    router = make_router("guarded").fit(known)
    assert isinstance(router, Guarded)
    errors = [router.add_llms(some_scores(world, k), world.llms[M:]).error_[M:].mean() for k in (0, 16, 128, 300)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == pytest.approx(router.error_.mean(), rel=0.3)  # everything known: like the known ones


def test_an_llm_that_is_surely_better_is_the_best_single_one(known: Dataset) -> None:
    router = make_router("guarded").fit(known)
    assert isinstance(router, Guarded)
    perfect = InteractionMatrix.from_dense(np.ones((known.n_instances, 1)))
    table = pl.DataFrame({"llm_id": ["perfect"]})
    assert router.add_llms(perfect, table).best_.tolist() == [M]
    assert router.add_llms(None, table).best_.tolist() == router.best_.tolist()
    assert router.add_llms(perfect, table).remove_llms(["perfect"]).best_.tolist() == router.best_.tolist()


def test_the_index_grows_with_the_llms(world: Dataset, known: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recroute.routers.factors.MIN_INDEXED", 1)
    router = make_router("svd").fit(known)
    router.rank(world, 2)  # builds the index
    grown = router.add_llms(*all_scores(world))
    with monkeypatch.context() as patch:
        patch.setattr("recroute.routers.factors.LLMIndex", None)  # none is built anew
        found = grown.rank(world, 2)
        assert (len(grown._index()), len(router._index())) == (M + 4, M)
    plain = replace(grown)
    plain.__dict__.update({k: v for k, v in vars(grown).items() if k != "_llm_index"})
    np.testing.assert_array_equal(found.llm_index, plain.rank(world, 2).llm_index)
    assert (grown.remove_llms([world.llm_ids.ids[M]]).rank(world, 1).llm_index < M + 3).all()


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf", "exact"])
def test_an_extended_index_is_a_copy(kind: str) -> None:
    rng = np.random.default_rng(0)
    bias, factors, mean = rng.normal(size=200), rng.normal(size=(200, 4)), rng.random(200)
    index = LLMIndex(bias[:199], factors[:199], mean[:199], kind)
    queries = np.array([factors[199] * 9])
    grown = index.extended(bias[199:] + 100, factors[199:], mean[199:])
    assert grown.search(queries, 1)[0].item() == 199
    assert index.search(queries, 1)[0].item() != 199


def test_prompts_without_a_record_are_no_training_prompts(known: Dataset) -> None:
    block = known.interactions.dense()
    block[::3] = np.nan
    data = replace(known, interactions=InteractionMatrix.from_dense(block))
    for name in ("knn", "kmeans", "hierarchy", "svd", "auto", "cluster"):
        router = make_router(name).fit(data)
        assert router.training_prompts.height == 200
        scores = InteractionMatrix.from_dense(np.delete(known.interactions.dense()[:, :1], slice(None, None, 3), 0))
        grown = router.add_llms(scores, pl.DataFrame({"llm_id": ["copy"]}))
        copy, first = grown.score(known, llms=["copy", known.llm_ids.ids[0]]).T
        assert np.corrcoef(copy, first)[0, 1] > 0.9, name


def test_a_folder_of_an_older_version_still_scores_and_says_what_it_lacks(known: Dataset, tmp_path: Path) -> None:
    router = make_router("auto").fit(known)
    router.background_ = None
    router.save(tmp_path / "router")
    assert {path.name for path in (tmp_path / "router").iterdir()} == {"router.json", "arrays.npz", "encoder.npz"}
    loaded = load_router(tmp_path / "router")
    np.testing.assert_array_equal(loaded.score(known), router.score(known))
    with pytest.raises(RecrouteError, match="does not keep its training prompts"):
        loaded.add_llms(None, pl.DataFrame({"llm_id": ["new"]}))


def test_a_grown_router_is_saved_and_grows_on(world: Dataset, known: Dataset, tmp_path: Path) -> None:
    scores, table = all_scores(world)
    grown = make_router("auto").fit(known).add_llms(scores.take_llms(np.arange(2)), table[:2])
    grown.save(tmp_path / "router")
    loaded = load_router(tmp_path / "router")
    np.testing.assert_array_equal(loaded.score(world), grown.score(world))
    rest = scores.take_llms(np.arange(2, 4))
    found, expected = (each.add_llms(rest, table[2:]).score(world) for each in (loaded, grown))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_part_that_cannot_stops_the_whole(known: Dataset, tmp_path: Path) -> None:
    router: Router = make_router("guarded", router="linear").fit(known)
    with pytest.raises(RecrouteError, match="linear cannot take unseen LLMs"):
        router.add_llms(None, pl.DataFrame({"llm_id": ["new"]}))
    router.save(tmp_path / "router")
    assert not (tmp_path / "router" / "prior.npz").exists()


def test_too_few_llms_for_a_prior(known: Dataset, tmp_path: Path) -> None:
    router = make_router("knn").fit(known.take_llms(np.arange(3)))
    with pytest.raises(RecrouteError, match="at least 4"):
        router.add_llms(None, pl.DataFrame({"llm_id": ["new"]}))
    router.save(tmp_path / "router")
    with pytest.raises(RecrouteError, match="at least 4"):
        load_router(tmp_path / "router").add_llms(None, pl.DataFrame({"llm_id": ["new"]}))


def test_saving_learns_nothing_and_keeps_what_was_learned(
    known: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = make_router("ridge").fit(known)
    with monkeypatch.context() as patch:
        patch.delattr(LLMPrior, "learn")
        router.save(tmp_path / "router")
    assert not (tmp_path / "router" / "prior.npz").exists()
    loaded = load_router(tmp_path / "router")
    for name, values in arrays_of(router.prior).items():  # that of the folder is learned from what it holds
        np.testing.assert_array_equal(arrays_of(loaded.prior)[name], values)
    loaded.save(tmp_path / "router")
    monkeypatch.delattr(LLMPrior, "learn")
    for each in (load_router(tmp_path / "router"), router):
        assert len(each.add_llms(None, pl.DataFrame({"llm_id": ["new"], "family": ["a"]})).llm_ids_) == M + 1


def test_a_prior_is_learned_from_the_llms_of_the_fit_that_are_left(known: Dataset, tmp_path: Path) -> None:
    router = make_router("ridge").fit(known).remove_llms(known.llm_ids.ids[:3])
    router.save(tmp_path / "router")
    for each in (router, load_router(tmp_path / "router")):
        assert each.prior.llm_ids.tolist() == list(known.llm_ids.ids[3:])
        grown = each.add_llms(None, pl.DataFrame({"llm_id": ["new"]}))
        grown.save(tmp_path / "grown")
        assert load_router(tmp_path / "grown").prior.llm_ids.tolist() == list(known.llm_ids.ids[3:])


def test_too_few_known_llms_left(known: Dataset) -> None:
    router = make_router("ridge").fit(known).add_llms(None, pl.DataFrame({"llm_id": ["a", "b", "c", "d"]}))
    few = router.remove_llms(known.llm_ids.ids[2:])
    with pytest.raises(RecrouteError, match="2 of the LLMs that the router was fitted on are left"):
        few.add_llms(None, pl.DataFrame({"llm_id": ["new"]}))


def test_scores_that_do_not_fit_are_refused(known: Dataset) -> None:
    router, new = make_router("knn").fit(known), pl.DataFrame({"llm_id": ["new"]})
    with pytest.raises(RecrouteError, match="are 2 x 1; give a row for each of the 300 training prompts"):
        router.add_llms(InteractionMatrix.from_dense(np.zeros((2, 1))), new)
    with pytest.raises(RecrouteError, match="outside"):
        router.add_llms(InteractionMatrix.from_dense(np.full((300, 1), 2.0)), new)
    with pytest.raises(RecrouteError, match="column 'llm_id' is missing"):
        router.add_llms(None, pl.DataFrame({"name": ["new"]}))
    with pytest.raises(RecrouteError, match="no rows"):
        router.add_llms(None, new[:0])
    with pytest.raises(RecrouteError, match="the ids of the LLMs are missing"):
        router.add_llms(None)
