"""Loadings of prompts from few LLMs."""

import numpy as np

from recroute.data import InteractionMatrix
from recroute.routers.factorisation import factorise, fold_in
from recroute.routers.memory.posterior import MIN_NOISE, N_ROUNDS, shrink_loadings


def planted(n_llms: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores with noise, and without."""
    rng = np.random.default_rng(seed)
    true = 0.5 + 0.1 * rng.normal(size=(200, 2)) @ rng.normal(size=(n_llms, 2)).T
    return true + 0.3 * rng.normal(size=true.shape), true


def fit(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, left, right = factorise(InteractionMatrix.from_dense(scores), 4)
    return np.column_stack([np.ones(len(left)), left]), np.column_stack([mean, right])


def test_shrunk_loadings_are_nearer_to_the_truth() -> None:
    scores, true = planted(20)
    loadings, vectors = fit(scores)
    shrunk, _ = shrink_loadings(InteractionMatrix.from_dense(scores), loadings, vectors)
    assert ((shrunk @ vectors.T - true) ** 2).mean() < 0.7 * ((loadings @ vectors.T - true) ** 2).mean()


def test_many_llms_leave_the_fit_as_it_is() -> None:
    rng = np.random.default_rng(1)
    true = 0.5 + 0.1 * rng.normal(size=(100, 2)) @ rng.normal(size=(1500, 2)).T
    scores = true + 0.02 * rng.normal(size=true.shape)
    mean, left, right = factorise(InteractionMatrix.from_dense(scores), 2)
    vectors = np.column_stack([mean, right])
    shrunk, noise = shrink_loadings(
        InteractionMatrix.from_dense(scores), np.column_stack([np.ones(100), left]), vectors
    )
    assert np.abs(shrunk @ vectors.T - true).mean() < 0.005
    assert noise.max() < 0.03


def test_a_prompt_without_scores_gets_the_average_prompt() -> None:
    scores, _ = planted(30)
    loadings, vectors = fit(scores)
    scores[5] = np.nan
    shrunk, noise = shrink_loadings(InteractionMatrix.from_dense(scores), loadings, vectors)
    others = np.delete(shrunk, 5, axis=0)
    np.testing.assert_allclose(shrunk[5], others.mean(axis=0), atol=0.05 * np.abs(others).max())
    assert noise[5] >= np.delete(noise, 5).mean()


def test_sums_over_observed_cells_equal_dense_regressions() -> None:
    scores, _ = planted(30)
    scores[np.random.default_rng(2).random(scores.shape) < 0.3] = np.nan
    scores[:20] = np.nan_to_num(scores[:20])  # some prompts are complete
    loadings, vectors = fit(scores)
    shrunk, noise = shrink_loadings(InteractionMatrix.from_dense(scores), loadings, vectors)
    observed, known = ~np.isnan(scores), np.nan_to_num(scores.astype(np.float32)).astype(np.float64)
    n, k, m = *loadings.shape, len(vectors)

    def squares() -> np.ndarray:
        return np.where(observed, known - loadings @ vectors.T, 0) ** 2

    expected = squares().sum(axis=1) / observed.sum(axis=1) * m / (m - k)
    center, cov = loadings.mean(axis=0), np.cov(loadings, rowvar=False) + 1e-9 * np.eye(k)
    for _ in range(N_ROUNDS):
        loadings, open_cov = fold_in(known.T, observed.T, vectors, center, cov, max(expected.mean(), MIN_NOISE))
        open_variance = np.trace(open_cov @ vectors.T @ vectors, axis1=1, axis2=2) / m
        expected = np.full(n, (squares().sum() + observed.sum(axis=1) @ open_variance) / observed.sum())
        away = loadings - loadings.mean(axis=0)
        center, cov = loadings.mean(axis=0), away.T @ away / n + open_cov.mean(axis=0) + 1e-12 * np.eye(k)
    np.testing.assert_allclose(shrunk, loadings, rtol=1e-6, atol=1e-8)
    own = squares().sum(axis=1) + observed.sum(axis=1) * open_variance
    np.testing.assert_allclose(noise, (own + expected) / (observed.sum(axis=1) + 1) + open_variance, rtol=1e-6)
