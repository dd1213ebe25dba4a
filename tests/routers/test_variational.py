"""Factors of matrices with unobserved cells."""

import os
from typing import Any

import numpy as np
import pytest

from recroute.data import InteractionMatrix, cells
from recroute.routers import variational
from recroute.routers.variational import Vectors, _pairs, _Update, factorise_missing


def planted(n: int, m: int, hidden: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """0/1 scores f32 (n, m) with NaN where hidden, and the probabilities behind them; every row has a record."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(size=(n, 1)) + rng.normal(size=m) + rng.normal(size=(n, 3)) @ rng.normal(size=(3, m))
    truth = 1 / (1 + np.exp(-logit))
    scores = np.where(rng.random((n, m)) < hidden, np.nan, rng.random((n, m)) < truth).astype(np.float32)
    seen = ~np.isnan(scores).all(axis=1)
    return scores[seen], truth[seen]


def error(scores: np.ndarray, truth: np.ndarray, n_factors: int = 3) -> float:
    """Root mean squared error of the hidden cells, over that of instance means and LLM deviations."""
    mean, left, right = factorise_missing(InteractionMatrix.from_dense(scores), n_factors)
    hidden = np.isnan(scores)
    row = np.nanmean(scores, axis=1, keepdims=True)
    additive = row + np.nanmean(scores - row, axis=0)
    mine, plain = (np.sqrt(((p - truth)[hidden] ** 2).mean()) for p in (mean + left @ right.T, additive))
    return float(mine / plain)


@pytest.mark.parametrize(("hidden", "most"), [(0.1, 0.7), (0.6, 0.75), (0.93, 0.93)])
def test_hidden_cells_are_predicted_however_many_there_are(hidden: float, most: float) -> None:
    assert error(*planted(1500, 120, hidden)) < most


def test_factors_are_found_from_few_records_of_many_prompts() -> None:
    scores, truth = planted(6000, 100, 0.96)
    _, _, found = factorise_missing(InteractionMatrix.from_dense(scores), 4)
    axes = np.linalg.svd(truth - truth.mean(axis=0), full_matrices=False)[2][:4].T
    overlap = np.linalg.svd(np.linalg.qr(found)[0].T @ axes)[1]
    assert overlap.min() > 0.75


def test_more_factors_than_there_are_do_no_harm() -> None:
    scores, truth = planted(800, 60, 0.5)
    assert error(scores, truth, 20) < 1.1 * error(scores, truth, 3)


def test_a_large_matrix_ends_where_it_would_without_a_start_on_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, truth = planted(1500, 120, 0.1)
    direct, n_rounds = error(scores, truth), []
    one_round = variational._round

    def counted(matrix: InteractionMatrix, *state: Any) -> float:
        n_rounds.append(matrix.n_instances == len(scores))
        return one_round(matrix, *state)

    monkeypatch.setattr(variational, "_round", counted)
    error(scores, truth)
    usual = sum(n_rounds)
    n_rounds.clear()
    monkeypatch.setattr(variational, "LARGE", 1000 * 120)
    assert abs(error(scores, truth) - direct) < 0.02
    assert sum(n_rounds) < usual


def test_both_layouts_give_the_same() -> None:
    matrix = InteractionMatrix.from_dense(planted(400, 50, 0.4)[0])
    sparse = InteractionMatrix.from_csr(matrix.scores)
    for one, other in zip(factorise_missing(matrix, 3), factorise_missing(sparse, 3), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = InteractionMatrix.from_dense(planted(400, 50, 0.4)[0])
    whole = factorise_missing(matrix, 3)
    monkeypatch.setattr(cells, "CELLS_AT_ONCE", 0)
    monkeypatch.setattr(cells, "CELLS_IN_CACHE", 50 * 64)  # seven blocks
    found = []
    for n_cores in (1, 2, 5):
        monkeypatch.setattr(os, "cpu_count", lambda n=n_cores: n)
        found.append(factorise_missing(matrix, 3))
    for one, two, five, unsplit in zip(*found, whole, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, five)
        np.testing.assert_allclose(one, unsplit, atol=1e-3)


def test_a_vector_is_the_posterior_mean_of_a_dense_solve() -> None:
    rng = np.random.default_rng(0)
    n, p, noise = 40, 3, 0.2
    y, y_cov, cross = rng.normal(size=(n, p)), 0.01 * np.eye(p), 0.01 * np.ones(p)
    scores, observed = rng.normal(size=(2, n)), rng.random((2, n)) < [[0.9], [0.3]]
    side = Vectors(rng.normal(size=(2, p)), np.zeros((p, p)), rng.normal(size=p), np.diag([1.0, 2.0, 0.5]))
    update = _Update.of(y, y_cov, cross, side, noise)
    counts, few = observed.sum(axis=1), np.array([False, True])
    x, prior = side.mean, np.linalg.inv(side.prior_cov)
    for _ in range(60):  # the second vector has its own Gram matrix and is there at once; the first comes near it
        right = ((scores - x @ y.T) * observed) @ y
        x, _ = update(x, counts, right, few, observed[few] @ _pairs(y))
    for i in range(2):
        Y = y[observed[i]]
        gram = (Y.T @ Y + counts[i] * y_cov) / noise + prior
        target = (Y.T @ scores[i, observed[i]] - counts[i] * cross) / noise + prior @ side.prior_mean
        np.testing.assert_allclose(x[i], np.linalg.solve(gram, target), rtol=1e-5)
