"""The contract of routers: a class of tests to inherit from."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from recroute.data import Dataset, InteractionMatrix
from recroute.errors import RecrouteError
from recroute.routers import Router, load_router, make_router
from recroute.splits import Split, split_dataset
from recroute.testing.planted import planted_dataset

TOLERANCE = 1e-4


class RouterContract:
    """Tests that every router must pass. A test class inherits them and sets `router`, a registry name.

    It may also set:

    - `better_than_random = False` for a router that does not read the prompt,
    - `any_number_of_threads = False` if predictions depend on the number of threads,
    - `holds_back = True` if LLMs with few records are predicted to score lower.

    >>> class TestMine(RouterContract):
    ...     router = "svd"
    """

    router: str
    better_than_random = True
    any_number_of_threads = True
    holds_back = False
    _taking: ClassVar[Router]

    @cached_property
    def split(self) -> Split:
        return split_dataset(planted_dataset(missing=0.1))

    def make(self) -> Router:
        return make_router(self.router)

    def fitted(self) -> Router:
        return self.make().fit(self.split.train)

    def mean_score(self, router: Router, test: Dataset) -> float:
        scores = test.interactions.dense()
        judged = router.choose_judged(router.score(test), scores).judged
        return float(np.nanmean(scores[np.arange(test.n_instances), judged]))

    def test_fit_returns_self(self) -> None:
        router = self.make()
        assert router.fit(self.split.train) is router

    def test_it_equals_itself_only(self) -> None:
        router = self.fitted()
        assert router == router
        assert router != self.make()
        assert len({router, self.make(), self.make()}) == 3

    def test_scores_have_the_documented_shape_and_type(self) -> None:
        predicted = self.fitted().score(self.split.test)
        assert predicted.shape == (self.split.test.n_instances, self.split.test.n_llms)
        assert predicted.dtype == np.float32
        assert not np.isnan(predicted).any()

    def test_it_says_how_sure_it_is(self) -> None:
        router, test = self.fitted(), self.split.test
        std, reducible = router.score_std(test), router.score_std(test, reducible=True)
        assert std.shape == (test.n_instances, test.n_llms)
        assert std.dtype == np.float32
        assert (reducible > 0).all()
        assert (std >= reducible).all()
        assert (std <= 1.2).all()
        assert len(router.explain(test, 2)) == test.n_instances

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
        assert (type(loaded), loaded.hyperparameters()) == (type(router), router.hyperparameters())
        np.testing.assert_array_equal(loaded.score(self.split.test), router.score(self.split.test))

    @property
    def taking(self) -> Router:
        """A router fitted once for all tests that add LLMs to it; they are skipped if it cannot take unseen LLMs."""
        if not self.make().takes_unseen_llms:
            pytest.skip("the router cannot take unseen LLMs")
        cls = type(self)
        if "_taking" not in vars(cls):
            cls._taking = self.fitted()
        return cls._taking

    @property
    def newcomers(self) -> tuple[InteractionMatrix, pl.DataFrame]:
        """A copy of llm-0, an LLM with a few records, and one with none."""
        block = np.full((self.split.train.n_instances, 3), np.nan)
        block[:, 0] = self.split.train.interactions.dense()[:, 0]
        block[:12, 1] = self.split.train.interactions.dense()[:12, 1]
        return InteractionMatrix.from_dense(block), pl.DataFrame({"llm_id": ["copy", "tried", "not tried"]})

    def test_an_unseen_llm_is_scored_like_the_known_one_it_answers_like(self) -> None:
        grown = self.taking.add_llms(*self.newcomers)
        known, copy = grown.score(self.split.test, llms=["llm-0", "copy"]).T
        assert np.abs(known - copy).mean() < 0.15
        if known.std() > 0.01:  # some routers' predictions do not depend on the prompt
            assert np.corrcoef(known, copy)[0, 1] > 0.9

    def test_an_llm_without_records_is_expected_to_be_like_the_known_ones(self) -> None:
        grown = self.taking.add_llms(None, pl.DataFrame({"llm_id": ["not tried"]}))
        predicted = grown.score(self.split.test)
        assert np.isfinite(predicted).all()
        assert abs(grown.llm_mean_[-1] - grown.llm_mean_[:-1].mean()) < 0.1
        ahead = predicted[:, -1].mean() - predicted[:, :-1].mean()
        assert ahead < 0.1
        assert ahead > -0.1 or self.holds_back

    def test_adding_llms_leaves_the_known_ones_and_the_router_as_they_are(self) -> None:
        router = self.taking
        before = router.score(self.split.test)
        grown = router.add_llms(*self.newcomers)
        np.testing.assert_array_equal(router.score(self.split.test), before)
        np.testing.assert_allclose(grown.score(self.split.test)[:, : before.shape[1]], before, atol=1e-6)
        assert list(grown.llm_ids_) == [*router.llm_ids_, "copy", "tried", "not tried"]
        assert len(grown.llm_mean_) == len(grown.llm_ids_)

    def test_the_order_of_added_llms_does_not_matter(self) -> None:
        scores, table = self.newcomers
        once = self.taking.add_llms(scores, table)
        grown = self.taking
        for i in (2, 0, 1):
            grown = grown.add_llms(scores.take_llms(np.array([i])), table[[i]])
        pool = list(once.llm_ids_)
        found, expected = (router.score(self.split.test, llms=pool) for router in (grown, once))
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)

    def test_a_saved_router_takes_unseen_llms_alike(self, tmp_path: Path) -> None:
        router = self.taking
        router.save(tmp_path / "router")
        found, expected = (
            each.add_llms(*self.newcomers).score(self.split.test) for each in (load_router(tmp_path / "router"), router)
        )
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)

    def test_a_data_set_of_some_training_prompts_is_enough(self) -> None:
        scores, table = self.newcomers
        rows = np.arange(12)
        some = Dataset("some", scores.take_instances(rows), self.split.train.instances[rows], table)
        found = self.taking.add_llms(some).score(self.split.test, llms=["tried"])
        np.testing.assert_allclose(
            found, self.taking.add_llms(scores, table).score(self.split.test, llms=["tried"]), atol=TOLERANCE
        )
        with pytest.raises(RecrouteError, match="not training prompts of the router"):
            self.taking.add_llms(Dataset("test", *self._of_test(table)))

    def _of_test(self, table: pl.DataFrame) -> tuple[InteractionMatrix, pl.DataFrame, pl.DataFrame]:
        rows = np.zeros((self.split.test.n_instances, table.height))
        return InteractionMatrix.from_dense(rows), self.split.test.instances, table

    def test_removing_llms_undoes_adding_them(self) -> None:
        router = self.taking
        back = router.add_llms(*self.newcomers).remove_llms(["copy", "not tried", "tried"])
        np.testing.assert_array_equal(back.score(self.split.test), router.score(self.split.test))
        with pytest.raises(RecrouteError, match="keep at least one"):
            router.remove_llms(list(router.llm_ids_))

    def test_a_known_llm_is_not_added_again(self) -> None:
        with pytest.raises(RecrouteError, match="the router already has"):
            self.taking.add_llms(None, pl.DataFrame({"llm_id": ["new", "llm-3"]}))
        with pytest.raises(RecrouteError, match="occurs twice"):
            self.taking.add_llms(None, pl.DataFrame({"llm_id": ["new", "new"]}))

    def test_a_router_that_takes_no_unseen_llms_says_so(self) -> None:
        router = self.fitted()
        if router.takes_unseen_llms:
            pytest.skip("the router takes unseen LLMs")
        with pytest.raises(RecrouteError, match="cannot take unseen LLMs"):
            router.add_llms(None, pl.DataFrame({"llm_id": ["new"]}))

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
