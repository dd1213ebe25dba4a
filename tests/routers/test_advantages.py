"""What a guard learns from out-of-fold predictions, however they come in."""

import numpy as np
import pytest

from recroute.data import Dataset, InteractionMatrix
from recroute.routers import guarded, make_router
from recroute.routers.advantages import Advantages
from recroute.util.memo import room

N, M = 300, 6
NAN = np.nan


@pytest.fixture
def predictions() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predicted and observed scores f32 (n, m), of which many are alike, and the best single LLM int (n,)."""
    rng = np.random.default_rng(0)
    predicted = rng.random((N, M)).round(1).astype(np.float32)
    scores = ((predicted + rng.normal(0, 0.3, predicted.shape)) > 0.5).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = NAN
    scores[:5] = NAN
    return predicted, scores, rng.integers(0, 2, N)


def learned(predicted: np.ndarray, scores: np.ndarray, best: np.ndarray, n_parts: int) -> Advantages:
    found = Advantages(InteractionMatrix.from_dense(scores))
    for rows in np.array_split(np.random.default_rng(1).permutation(len(scores)), n_parts):
        found.add(rows, predicted[rows], best[rows])
    return found


@pytest.mark.parametrize("n_parts", [1, 7])
def test_errors_are_those_of_the_advantages_that_were_observed(
    predictions: tuple[np.ndarray, np.ndarray, np.ndarray], n_parts: int
) -> None:
    predicted, scores, best = predictions
    scores[:, 4] = NAN
    at = np.arange(N)
    off = (predicted - predicted[at, best][:, None]) - (scores - scores[at, best][:, None])
    known = ~np.isnan(off)
    expected = np.sqrt(np.nansum(off.astype(float) ** 2, axis=0)) / np.maximum(known.sum(axis=0), 1)
    found = learned(predicted, scores, best, n_parts).standard_errors()
    assert found[4] == np.inf
    np.testing.assert_allclose(np.delete(found, 4), np.delete(expected, 4), rtol=1e-5)


@pytest.mark.parametrize("n_parts", [1, 7])
def test_a_guard_chooses_for_each_threshold_the_best_llm_that_passes_it(
    predictions: tuple[np.ndarray, np.ndarray, np.ndarray], n_parts: int
) -> None:
    predicted, scores, best = predictions
    error, before = np.random.default_rng(2).uniform(0.01, 0.05, M), predicted.copy()
    margins = [np.full(M, np.inf) if z == np.inf else z * error for z in guarded.Z]
    expected = np.full((len(margins), N), NAN)
    for i, margin in enumerate(margins):
        for row, (mine, truth, of_best) in enumerate(zip(predicted, scores, best, strict=True)):
            if np.isnan(truth[of_best]):
                continue
            ahead = mine - mine[of_best]
            passing = [j for j in range(M) if ahead[j] > margin[j] and not np.isnan(truth[j])]
            expected[i, row] = truth[max(passing, key=lambda j: ahead[j])] - truth[of_best] if passing else 0
    np.testing.assert_array_equal(learned(predicted, scores, best, n_parts).gains(margins), expected)
    np.testing.assert_array_equal(predicted, before)


@pytest.mark.parametrize("name", ["guarded(router=svd)", "auto", "auto(router=svd + knn)"])
def test_predictions_that_are_not_kept_give_the_same_router(planted: Dataset, name: str) -> None:
    kept = make_router(name).fit(planted)
    with room(0):
        passed_on = make_router(name).fit(planted)
    assert passed_on.z_ == kept.z_
    np.testing.assert_allclose(passed_on.error_, kept.error_, rtol=1e-9)
    np.testing.assert_allclose(passed_on.score(planted), kept.score(planted), atol=1e-6)
