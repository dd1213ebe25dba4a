"""The contract of a router, as a class of tests to inherit from."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from recroute.data import Dataset
from recroute.errors import RecrouteError
from recroute.routers import Router, load_router, make_router
from recroute.splits import Split, split_dataset
from recroute.testing.planted import planted_dataset

TOLERANCE = 1e-4


class RouterContract:
    """What every router keeps; a test class inherits it and sets `router`, a registry name.

    >>> class TestMine(RouterContract):
    ...     router = "svd"
    """

    router: str
    better_than_random = True
    any_number_of_threads = True

    @cached_property
    def split(self) -> Split:
        return split_dataset(planted_dataset(missing=0.1))

    def make(self) -> Router:
        return make_router(self.router)

    def fitted(self) -> Router:
        return self.make().fit(self.split.train)

    def mean_score(self, router: Router, test: Dataset) -> float:
        choice = router.rank(test).llm_index[:, 0]
        return float(np.nanmean(test.interactions.dense()[np.arange(test.n_instances), choice]))

    def test_fit_returns_self(self) -> None:
        router = self.make()
        assert router.fit(self.split.train) is router

    def test_scores_have_the_documented_shape_and_type(self) -> None:
        predicted = self.fitted().score(self.split.test)
        assert predicted.shape == (self.split.test.n_instances, self.split.test.n_llms)
        assert predicted.dtype == np.float32
        assert not np.isnan(predicted).any()

    def test_same_seed_gives_the_same_scores(self) -> None:
        np.testing.assert_array_equal(self.fitted().score(self.split.test), self.fitted().score(self.split.test))

    def test_the_number_of_threads_changes_nothing(self) -> None:
        if not self.any_number_of_threads:
            pytest.skip("the router's docstring says why not")
        found = []
        for n_threads in (1, 2):
            with threadpool_limits(limits=n_threads):
                found.append(self.fitted().score(self.split.test))
        np.testing.assert_array_equal(found[0], found[1])

    def test_scoring_changes_nothing(self) -> None:
        router = self.fitted()
        first = router.score(self.split.test)
        np.testing.assert_array_equal(first, router.score(self.split.test))

    def test_batch_equals_single(self) -> None:
        router, test = self.fitted(), self.split.test
        single = np.vstack([router.score(test.take_instances(np.array([i]))) for i in range(5)])
        np.testing.assert_allclose(router.score(test)[:5], single, atol=TOLERANCE)

    def test_permuting_the_llms_permutes_the_scores(self) -> None:
        order = np.random.default_rng(0).permutation(self.split.train.n_llms)
        permuted = self.make().fit(self.split.train.take_llms(order)).score(self.split.test.take_llms(order))
        np.testing.assert_allclose(self.fitted().score(self.split.test)[:, order], permuted, rtol=0.05, atol=0.05)

    def test_a_pool_restricts_the_choice_without_a_new_fit(self) -> None:
        router, pool = self.fitted(), ["llm-4", "llm-1"]
        everyone, few = router.score(self.split.test), router.score(self.split.test, llms=pool)
        np.testing.assert_allclose(few, everyone[:, [4, 1]], atol=TOLERANCE)
        assert {name for row in router.rank(self.split.test, llms=pool).names for name in row} <= set(pool)

    def test_ranking_is_by_falling_score_and_ties_follow_the_rule(self) -> None:
        router = self.fitted()
        ranking = router.rank(self.split.test, k=router.score(self.split.test).shape[1])
        predicted, mean = ranking.predicted_score, router.llm_mean_[ranking.llm_index]
        assert (predicted[:, 1:] <= predicted[:, :-1]).all()
        tied = predicted[:, 1:] == predicted[:, :-1]
        assert (mean[:, 1:][tied] <= mean[:, :-1][tied]).all()

    def test_k_beyond_the_pool_is_refused(self) -> None:
        with pytest.raises(RecrouteError, match="between 1 and 6"):
            self.fitted().rank(self.split.test, k=7)

    def test_an_unknown_llm_is_refused_with_a_hint(self) -> None:
        with pytest.raises(RecrouteError, match="did you mean"):
            self.fitted().score(self.split.test, llms=["llm-77"])

    def test_an_unfitted_router_says_so(self) -> None:
        with pytest.raises(RecrouteError, match="not fitted"):
            self.make().score(self.split.test)

    def test_a_saved_router_scores_the_same(self, tmp_path: Path) -> None:
        router = self.fitted()
        router.save(tmp_path / "router")
        loaded = load_router(tmp_path / "router")
        assert loaded == router
        np.testing.assert_array_equal(loaded.score(self.split.test), router.score(self.split.test))

    def test_beats_random_on_planted_data(self) -> None:
        if not self.better_than_random:
            pytest.skip("a router that does not read the prompt cannot")
        chance = float(np.nanmean(self.split.test.interactions.dense()))
        assert self.mean_score(self.fitted(), self.split.test) > chance + 0.15

    def test_distribution_is_one(self) -> None:
        router = self.fitted()
        shares = router.distribution(router.score(self.split.test))
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        assert (shares >= 0).all()
