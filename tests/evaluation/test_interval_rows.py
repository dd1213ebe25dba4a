"""Every row of every experiment: the interval holds the estimate, and nothing is shown outside of [0, 1]."""

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import recroute as rr
from recroute.data import Dataset, InteractionMatrix
from recroute.errors import RecrouteError
from recroute.evaluation.evaluation import Evaluation
from recroute.metrics import METRICS
from recroute.routers import Ranking
from recroute.routers.refresh.change import wilson
from recroute.testing import planted_dataset

FEW = settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def small(seed: int, n: int, m: int, levels: int, missing: float) -> Dataset:
    """A data set of random scores, with costs, and now and then a hole."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.random((n, m)) * levels) / levels
    rows, columns = np.nonzero(rng.random((n, m)) >= missing)
    cost = rng.random(len(rows)) * 10.0 ** rng.integers(-4, 1, m)[columns]
    matrix = InteractionMatrix.from_coordinates(rows, columns, scores[rows, columns], (n, m), cost)
    names = [f"i{i}" for i in range(n)]
    prompts = [f"{'abcdefgh'[i % 8] * 3} word {i}" for i in range(n)]
    instances = pl.DataFrame({"instance_id": names, "prompt": prompts, "task": ["xy"[i % 2] for i in range(n)]})
    llms = pl.DataFrame({"llm_id": [f"l{j}" for j in range(m)]})
    return Dataset("small", matrix, instances, llms)


def check(rows: pl.DataFrame, value: str = "value", low: str = "ci_low", high: str = "ci_high") -> None:
    """No interval without its estimate, and none outside of it."""
    told = rows.filter(pl.col(low).is_not_null() & pl.col(low).is_not_nan())
    out = told.filter(~((pl.col(low) <= pl.col(value)) & (pl.col(value) <= pl.col(high))))
    assert out.is_empty(), out
    assert told.filter(pl.col(value).is_nan() | pl.col(high).is_nan()).is_empty()


SEEDS = st.lists(st.integers(0, 5), min_size=1, max_size=2, unique=True)


@FEW
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(40, 60),
    m=st.integers(3, 6),
    levels=st.sampled_from([1, 2, 10]),
    missing=st.sampled_from([0.0, 0.2]),
    seeds=SEEDS,
    n_resamples=st.sampled_from([3, 50, 300]),
)
def test_evaluations(
    seed: int, n: int, m: int, levels: int, missing: float, seeds: list[int], n_resamples: int
) -> None:
    data = small(seed, n, m, levels, missing)
    for run in (rr.evaluate, lambda *a, **k: rr.scale(*a, pool_sizes=[2, m], groups=["nested", "all_strong"], **k)):
        try:
            found = run(data, ["svd"], seeds=seeds, n_resamples=n_resamples, headroom=False)
        except RecrouteError:  # nobody in the pool, say
            continue
        assert isinstance(found, Evaluation)
        check(found.rows)
        check(found.comparisons)
        for row in found.rows.filter(pl.col("metric").is_in(METRICS), pl.col("ci_low").is_finite()).iter_rows(
            named=True
        ):
            low, high = METRICS[row["metric"]].within
            assert low <= row["ci_low"] <= row["ci_high"] <= high
        assert found.rows.filter(metric="coverage")["ci_low"].is_nan().all()


@FEW
@given(seed=st.integers(0, 10**6), n=st.integers(40, 90), levels=st.sampled_from([1, 2, 10]), seeds=SEEDS)
def test_frontiers_and_pools(seed: int, n: int, levels: int, seeds: list[int]) -> None:
    data = small(seed, n, 5, levels, 0.0)
    found = rr.frontier(data, ["knn"], seeds=seeds, n_resamples=100)
    check(found.rows)
    check(found.comparisons)
    check(found.points, "mean_cost", "cost_low", "cost_high")
    check(found.points, "mean_score", "score_low", "score_high")
    pool = rr.choose_pool(data, 2, router="best_single", seeds=seeds)
    check(pool.rows)
    check(pool.replacements, "difference")


@FEW
@given(seed=st.integers(0, 10**6), n=st.integers(60, 90), levels=st.sampled_from([1, 10]))
def test_cold_start_and_off_policy(seed: int, n: int, levels: int) -> None:
    data = small(seed, n, 8, levels, 0.0)
    check(rr.coldstart(data, ["knn"], n_seeds=2, anchors=[0, 2], strategies=["random"], pool_size=2).rows)
    logs = rr.simulate_logs(data, rr.make_router("best_single").fit(data), epsilon=0.5, seed=seed)
    found = rr.off_policy(logs, ["best_single"], n_folds=2, reward_model="best_single")
    check(found.rows)
    check(found.comparisons)


@given(st.lists(st.integers(0, 1) | st.floats(0, 1), min_size=1, max_size=20))
def test_the_interval_of_observed_answers_holds_their_mean(scores: list[float]) -> None:
    mean = np.array([np.mean(scores)])
    low, high = wilson(mean, np.array([len(scores)]))
    assert low[0] <= mean[0] <= high[0]


def test_what_an_explanation_predicts_is_within_its_interval_and_a_score() -> None:
    data = planted_dataset()
    for name in ("svd", "ridge", "auto"):
        router = rr.make_router(name).fit(data)
        assert router.encoder_ is not None
        far = 20 * router.vectors(["multiply the integers number 3", "prove the theorem number 4"])
        predicted = router.score(far)
        assert predicted.max() > 1 or predicted.min() < 0 or name == "auto"  # the raw scores go beyond
        for explanation in router.explain(far, k=data.n_llms):
            for llm in explanation.llms:
                assert 0 <= llm["ci_low"] <= llm["predicted_score"] <= llm["ci_high"] <= 1


def test_people_are_shown_scores_and_programs_what_the_ranking_is_by() -> None:
    ids = rr.IdMap(("a", "b"), kind="llm")
    ranking = Ranking(np.array([[0, 1]], dtype=np.int32), np.array([[1.25, -0.5]], dtype=np.float32), ids)
    assert "a 1.000, b 0.000" in repr(ranking)
    assert "a (1.000)" in ranking._repr_html_()
    assert "b (0.000)" in ranking._repr_html_()
    assert ranking.row(0) == [("a", 1.25), ("b", pytest.approx(-0.5))]


def test_a_mean_over_seeds_that_differ_stays_a_score() -> None:
    found = rr.evaluate(rr.simulate(n_llms=40, n_instances=300), ["svd"], seeds=range(2), n_resamples=200)
    assert found.row("mean_score", router="oracle")["ci_high"] <= 1
