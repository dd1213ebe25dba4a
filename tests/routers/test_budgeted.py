"""Routing within a budget, on data where the right answer is known."""

from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, InteractionMatrix
from recroute.errors import RouterError
from recroute.routers import load_router, make_router
from recroute.routers.budgeted import Budgeted

CHEAP, DEAR = 1.0, 10.0


def easy_and_hard(n: int, seed: int) -> Dataset:
    """Half of the prompts are easy: both LLMs solve nine in ten. Of the hard ones only the dear LLM does."""
    rng = np.random.default_rng(seed)
    hard = np.arange(n) % 2 == 1
    solves = rng.random((n, 2)) < np.where(hard[:, None], [0.0, 0.9], [0.9, 0.9])
    rows, columns = np.nonzero(np.ones((n, 2)))
    cost = np.array([CHEAP, DEAR])[columns] * rng.uniform(0.8, 1.2, 2 * n) / 1000
    matrix = InteractionMatrix.from_coordinates(rows, columns, solves.ravel().astype(float), (n, 2), cost)
    words = np.where(hard, "prove the theorem", "spell the word")
    prompts = [f"{text} number {rng.integers(10**6)}" for text in words]
    instances = pl.DataFrame({"instance_id": [f"{seed}-{i}" for i in range(n)], "prompt": prompts, "task": words})
    return Dataset("easy and hard", matrix, instances, pl.DataFrame({"llm_id": ["cheap", "dear"]}))


@pytest.fixture(scope="module")
def fitted() -> Budgeted:
    return Budgeted(router="knn(n_neighbors=50)", trade_off=0.0).fit(easy_and_hard(400, 0))


def spent(router: Budgeted, test: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Cost of 1,000 prompts and score of each choice."""
    choice = router.rank(test).llm_index[:, 0]
    rows = np.arange(test.n_instances)
    return 1000 * test.interactions.dense_costs()[rows, choice], test.interactions.dense()[rows, choice]


def test_full_quality_costs_half_where_a_cheap_llm_suffices_on_half(fitted: Budgeted) -> None:
    router = fitted.with_target(quality=0.97)
    cost, score = spent(router, easy_and_hard(1000, 1))
    assert cost.mean() < (CHEAP + DEAR) / 2 + 0.3
    assert score.mean() > 0.97 * 0.9 - 0.03
    by_text = fitted.with_target(trade_off=40)
    assert by_text.rank(["spell the word number 7", "prove the theorem number 7"]).names == [["cheap"], ["dear"]]


@pytest.mark.parametrize("budget", [1.2, 3.0, 5.8, 8.0, 12.0])
def test_a_budget_holds_on_unseen_prompts(fitted: Budgeted, budget: float) -> None:
    cost, _ = spent(fitted.with_target(budget=budget), easy_and_hard(1000, 2))
    assert cost.mean() < budget + 3 * cost.std() / np.sqrt(400)  # the trade-off was solved on 400 prompts


def alike(n: int, seed: int) -> Dataset:
    """The dear LLM is better on all prompts by as much, and their texts say nothing."""
    rng = np.random.default_rng(seed)
    solves = rng.random((n, 2)) < [0.6, 0.9]
    rows, columns = np.nonzero(np.ones((n, 2)))
    cost = np.array([0.004, 0.48])[columns] * rng.uniform(0.9, 1.1, 2 * n)
    matrix = InteractionMatrix.from_coordinates(rows, columns, solves.ravel().astype(float), (n, 2), cost)
    words = [" ".join(row) for row in rng.choice(["alpha", "beta", "gamma", "delta", "epsilon"], size=(n, 6))]
    instances = pl.DataFrame({"instance_id": [str(i) for i in range(n)], "prompt": words, "task": ["t"] * n})
    return Dataset("alike", matrix, instances, pl.DataFrame({"llm_id": ["cheap", "dear"]}))


@pytest.mark.parametrize("name", ["knn(n_neighbors=50)", "best_single"])
def test_a_budget_is_used_where_prompts_are_alike_and_never_exceeded(name: str) -> None:
    router, test = Budgeted(router=name, trade_off=0.0).fit(alike(800, 0)), alike(800, 1)
    for budget in (60.0, 150.0, 240.0, 350.0):
        targeted = router.with_target(budget=budget)
        cost, score = spent(targeted, test)
        expected = targeted.expected()
        assert expected["cost"] == pytest.approx(budget)
        assert abs(cost.mean() - budget) < 3 * cost.std() / np.sqrt(800)
        assert score.mean() > 0.6 + 0.3 * (budget - 4) / 476 - 0.05
        assert 0 < expected["share_of_second"] < 1
        np.testing.assert_array_equal(targeted.score(test), targeted.score(test))  # the same prompt goes the same way


def test_a_mixture_is_saved_with_the_router(tmp_path: Path) -> None:
    router = Budgeted(router="best_single", budget=150.0, seed=3).fit(alike(400, 0))
    router.save(tmp_path / "router")
    loaded, texts = load_router(tmp_path / "router"), alike(300, 1).prompts
    assert loaded.expected() == router.expected()
    assert loaded.rank(texts).names == router.rank(texts).names
    assert len({name for (name,) in loaded.rank(texts).names}) == 2


def test_a_larger_budget_buys_no_less(fitted: Budgeted) -> None:
    test = easy_and_hard(1000, 3)
    scores = [spent(fitted.with_target(budget=b), test)[1].mean() for b in (1.1, 5.8, 12.0)]
    assert scores == sorted(scores)
    assert scores[0] == pytest.approx(0.45, abs=0.03)  # cheap for all
    assert scores[1] > 0.8


def test_a_trade_off_of_0_is_the_router_itself(fitted: Budgeted) -> None:
    test = easy_and_hard(50, 4)
    np.testing.assert_array_equal(fitted.score(test), fitted.parts_[0].score(test))


def test_a_score_is_the_predicted_score_less_what_the_cost_is_worth(fitted: Budgeted) -> None:
    test = easy_and_hard(50, 5)
    expected = fitted.score(test) - 40 * fitted.predicted_cost(test)
    np.testing.assert_allclose(fitted.with_target(trade_off=40).score(test), expected, rtol=1e-5)


def test_another_target_is_what_a_new_fit_finds_also_when_saved(fitted: Budgeted, tmp_path: Path) -> None:
    new = Budgeted(router="knn(n_neighbors=50)", budget=4.0).fit(easy_and_hard(400, 0))
    fitted.save(tmp_path / "router")
    loaded = load_router(tmp_path / "router")
    assert isinstance(loaded, Budgeted)
    again = loaded.with_target(budget=4.0)
    assert again.expected() == new.expected()
    assert again.label == new.label
    test = easy_and_hard(50, 6)
    np.testing.assert_array_equal(again.score(test), new.score(test))
    assert loaded.trade_off == 0  # it stays as it was


def test_what_cannot_be_met_says_what_can(fitted: Budgeted) -> None:
    with pytest.raises(RouterError, match=r"set at least (0\.9|1)\d*"):
        fitted.with_target(budget=0.5)
    with pytest.raises(RouterError, match=r"set at most (0\.9|1)\d*"):
        fitted.with_target(quality=1.5)
    with pytest.raises(RouterError, match="budget and quality are given; give only one of them"):
        fitted.with_target(budget=5, quality=0.9)


def test_a_router_behind_the_best_single_llm_keeps_what_it_reaches_unless_more_is_asked(fitted: Budgeted) -> None:
    behind = copy(fitted)
    behind.curve_ = replace(fitted.curve_, best_single=1.0)
    assert behind.curve_.most < 1
    assert behind.with_target().expected()["score"] == pytest.approx(fitted.curve_.quality.max())
    with pytest.raises(RouterError, match="a quality of 1 of the best single LLM is more than the router reaches"):
        behind.with_target(quality=1)


def test_without_costs_it_says_so(planted: Dataset) -> None:
    with pytest.raises(RouterError, match="planted has no costs; add a column cost"):
        make_router("budgeted", router="knn").fit(planted)


def test_without_text_a_router_that_needs_none_still_weighs_cost() -> None:
    data = easy_and_hard(200, 7)
    bare = Dataset("bare", data.interactions, data.instances.drop("prompt"), data.llms)
    router = Budgeted(router="task_best", quality=0.97).fit(bare)
    cost, score = spent(router, bare)
    assert cost.mean() == pytest.approx((CHEAP + DEAR) / 2, abs=0.3)
    assert score.mean() == pytest.approx(0.9, abs=0.05)
    with pytest.raises(RouterError, match="neither prompts nor embeddings"):
        Budgeted(router="knn", quality=0.97).fit(bare)


def test_a_second_attempt_weighs_cost_too(tmp_path: Path) -> None:
    router = Budgeted(router="hierarchy", trade_off=0.0).fit(easy_and_hard(200, 0))
    router.joint  # noqa: B018  learned before it is saved
    router.save(tmp_path / "router")
    costly = load_router(tmp_path / "router").with_target(trade_off=1000.0)
    hard = ["prove the theorem number 7"]
    assert router.rank(hard, tried={"cheap": 0.0}).names == [["dear"]]
    assert router.choose_set(hard, 1).names == [["dear"]]
    assert costly.choose_set(hard, 1).names == [["cheap"]]
