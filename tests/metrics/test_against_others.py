"""Metrics of whole predictions against scikit-learn and against every order of the ties."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, roc_auc_score

from recroute.metrics import METRICS, Outcome, Spending
from recroute.metrics.calibration import auc, brier, ece
from recroute.metrics.cost import aiq
from recroute.metrics.ranking import mrr
from recroute.metrics.spread import coverage, gini


def tables(seed: int, n: int = 12, m: int = 5, holes: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 3, (n, m)) / 2
    scores[:, 1:][rng.random((n, m - 1)) < holes] = np.nan
    return scores, rng.integers(0, 3, (n, m)) / 2


def outcome(scores: np.ndarray, predicted: np.ndarray) -> Outcome:
    return Outcome.of(scores, np.zeros(len(scores)), predicted=predicted)


@given(st.integers(0, 200))
def test_ndcg_is_that_of_scikit_learn_with_ties_in_expectation(seed: int) -> None:
    scores, predicted = tables(seed)
    scores[0, 0] = 1
    solved = scores.any(axis=1)
    for k in (3, 10):
        expected = ndcg_score(scores[solved], predicted[solved], k=k)
        assert METRICS[f"ndcg@{k}"](outcome(scores, predicted), None)[0] == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(30))
def test_hits_and_reciprocal_rank_are_means_over_the_orders_of_ties(seed: int) -> None:
    scores, predicted = tables(seed, n=4, holes=0.2)
    hits, ranks = [], []
    for row, guess in zip(scores, predicted, strict=True):
        seen = np.flatnonzero(~np.isnan(row))
        orders = [o for o in permutations(seen) if all(guess[a] >= guess[b] for a, b in pairwise(o))]
        best = [[int(row[i] == np.nanmax(row)) for i in order] for order in orders]
        hits.append(np.mean([max(found[:3]) for found in best]))
        ranks.append(np.mean([1 / (found.index(1) + 1) for found in best]))
    found = outcome(scores, predicted)
    assert METRICS["hit@3"](found, None)[0] == pytest.approx(np.mean(hits))
    assert mrr(found)[0] == pytest.approx(np.mean(ranks))


@given(st.integers(0, 200))
def test_auc_and_brier_are_those_of_the_observed_cells(seed: int) -> None:
    scores, predicted = tables(seed, holes=0.3)
    seen = ~np.isnan(scores)
    found = outcome(scores, predicted)
    assert brier(found)[0] == pytest.approx(np.mean((predicted[seen] - scores[seen]) ** 2))
    assert auc(found)[0] == pytest.approx(roc_auc_score(scores[seen] >= 0.5, predicted[seen]))


def test_resampled_auc_is_close_to_that_of_the_resampled_cells() -> None:
    rng = np.random.default_rng(0)
    scores = (rng.random((300, 8)) < rng.random((300, 1))).astype(float)
    found = outcome(scores, predicted := 0.3 * scores + rng.random((300, 8)))
    weights = rng.multinomial(300, np.full(300, 1 / 300), size=200)
    linear = auc(found, weights.astype(float))
    exact = [
        roc_auc_score(np.repeat(scores, w, axis=0).ravel(), np.repeat(predicted, w, axis=0).ravel()) for w in weights
    ]
    assert np.abs(linear - exact).max() < 0.05 * np.std(exact) + 1e-3
    assert linear.std() == pytest.approx(np.std(exact), rel=0.05)


def test_calibration_error_by_hand() -> None:
    predicted = np.array([[0.95, 0.95, 0.05, 0.5], [0.95, 0.95, 0.05, 0.5]])
    scores = np.array([[1.0, 0.0, 0.0, np.nan], [1.0, 0.0, 0.0, 0.5]])
    assert ece(outcome(scores, predicted))[0] == pytest.approx((2 * abs(1.9 - 1) + 2 * 0.05 + 0) / 7)


def test_gini_counts_llms_that_are_never_chosen() -> None:
    scores = np.ones((4, 4))
    everything, even = Outcome.of(scores, [0, 0, 0, 0]), Outcome.of(scores, [0, 1, 2, 3])
    assert gini(everything)[0] == pytest.approx(1 - 1 / 4)
    assert gini(even)[0] == pytest.approx(0)
    assert coverage(everything)[0] == pytest.approx(1 / 4)


def test_a_cost_curve_by_hand() -> None:
    # (cost, score): (1, .4), (3, .9) and, dearer and worse, (4, .5); the dearest LLM costs 5
    spent = Spending(np.array([4.0]), np.array([[0.5, 0.9, 0.4]]), np.array([[4.0, 3.0, 1.0]]), np.array([5.0]))
    found = Outcome.of([[0.8, 0]], [0], spending=spent)
    assert aiq(found)[0] == pytest.approx((2 * 0.65 + 2 * 0.9) / 4)
    assert METRICS["cost_at_quality@100"](found, None)[0] == pytest.approx(1 + 2 * 0.4 / 0.5)
    assert METRICS["cost_at_quality@95"](found, None)[0] == pytest.approx(1 + 2 * 0.36 / 0.5)
    assert METRICS["mean_cost"](found, None)[0] == 4


def test_a_quality_that_is_out_of_reach_has_no_cost() -> None:
    spent = Spending(np.ones(1), np.array([[0.5]]), np.ones((1, 1)), np.ones(1))
    assert np.isnan(METRICS["cost_at_quality@100"](Outcome.of([[1.0]], [0], spending=spent), None)[0])


def test_a_router_that_chooses_by_chance_has_no_ranking() -> None:
    found = Outcome.of([[1, 0]], [0])
    for name in ("ndcg@3", "hit@3", "mrr", "brier", "ece", "auc", "mean_cost", "aiq"):
        assert np.isnan(METRICS[name](found, np.ones((3, 1)))).tolist() == [True] * 3
