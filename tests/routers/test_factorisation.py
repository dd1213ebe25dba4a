import numpy as np
import pytest

from recroute.bridges import fit_ridge, ridge
from recroute.bridges.ridge import PENALTIES
from recroute.data import InteractionMatrix
from recroute.routers import factorisation
from recroute.routers.factorisation import factorise, fold_in, interaction_factors, truncated_svd
from recroute.routers.subspace import common_factors


def matrix_of(block: np.ndarray) -> InteractionMatrix:
    return InteractionMatrix.from_dense(block)


def low_rank(rng: np.random.Generator, n: int, m: int, k: int, noise: float = 0.0) -> np.ndarray:
    block = rng.uniform(0.3, 0.7, m) + 0.25 * rng.normal(size=(n, k)) @ rng.normal(size=(k, m)) / k
    return block + noise * rng.normal(size=(n, m))


@pytest.mark.parametrize("k", [4, 20, 40])  # few of the eigenvectors, most, and more than there are
@pytest.mark.parametrize(("n", "m"), [(30, 50), (50, 30)])
def test_truncated_svd_equals_the_dense_one(n: int, m: int, k: int, rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(n, m))
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    left, right = truncated_svd(matrix, k)
    np.testing.assert_allclose(left @ right.T, (u[:, :k] * s[:k]) @ vt[:k], atol=1e-8)
    np.testing.assert_allclose(left.T @ left, np.eye(min(k, 30)), atol=1e-8)


def test_a_complete_block_gets_its_means_and_the_svd_of_the_rest(rng: np.random.Generator) -> None:
    block = low_rank(rng, 40, 20, 3, noise=0.1)
    mean, left, right = factorise(matrix_of(block), 3)
    np.testing.assert_allclose(mean, block.mean(axis=0), atol=1e-6)
    u, s, vt = np.linalg.svd(block - block.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(left @ right.T, (u[:, :3] * s[:3]) @ vt[:3], atol=1e-5)


def test_a_large_complete_block_gets_the_same_in_passes(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    matrix = matrix_of(low_rank(rng, 300, 80, 3, noise=0.02))
    at_once = factorise(matrix, 3)
    monkeypatch.setattr(factorisation, "AT_ONCE", 0)
    for one, other in zip(at_once, factorise(matrix, 3), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_interactions_of_a_large_block_are_the_same_in_passes(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    matrix = matrix_of(low_rank(rng, 303, 80, 3, noise=0.02))
    at_once = interaction_factors(matrix.dense, matrix.shape, 2)
    monkeypatch.setattr(factorisation, "AT_ONCE", 0)
    for one, other in zip(at_once, interaction_factors(matrix.dense, matrix.shape, 2), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_unobserved_cells_are_recovered(rng: np.random.Generator) -> None:
    truth = low_rank(rng, 200, 60, 2).clip(0, 1)
    hidden = rng.random(truth.shape) < 0.3
    mean, left, right = factorise(matrix_of(np.where(hidden, np.nan, truth)), 2)
    error = (mean + left @ right.T - truth)[hidden]
    plain = (np.nanmean(np.where(hidden, np.nan, truth), axis=0) - truth)[hidden]
    assert np.sqrt((error**2).mean()) < 0.25 * np.sqrt((plain**2).mean())


def test_an_llm_never_run_on_a_task_is_placed_by_its_neighbours(rng: np.random.Generator) -> None:
    strong = np.arange(40) % 2 == 0  # strong LLMs are good at both halves, weak ones at neither
    truth = np.where(strong, 0.9, 0.2)[None, :] + 0.05 * rng.normal(size=(100, 40))
    block = truth.copy()
    block[50:, :4] = np.nan
    mean, _, _ = factorise(matrix_of(block), 2)
    np.testing.assert_allclose(mean[:4], truth.mean(axis=0)[:4], atol=0.06)


def test_factor_analysis_tells_shared_variance_from_an_llms_own(rng: np.random.Generator) -> None:
    loadings, own = rng.normal(size=(30, 2)), rng.uniform(0.5, 2.0, size=30)
    covariance = loadings @ loadings.T + np.diag(own)
    factors, found = common_factors(covariance, 2)
    np.testing.assert_allclose(factors @ factors.T, loadings @ loadings.T, atol=0.1)
    np.testing.assert_allclose(found, own, atol=0.1)
    assert (common_factors(np.diag(own), 3)[1] > 0.4 * own).all()


def test_fold_in_equals_a_dense_solve(rng: np.random.Generator) -> None:
    loadings, mean = rng.normal(size=(12, 3)), rng.normal(size=3)
    root = rng.normal(size=(3, 3))
    cov, noise = root @ root.T + np.eye(3), 0.3
    scores, observed = rng.normal(size=(12, 2)), (rng.random((12, 2)) < 0.6).astype(np.float64)
    z, covariance = fold_in(np.where(observed > 0, scores, np.nan), observed, loadings, mean, cov, noise)
    for j in range(2):
        F, y = loadings[observed[:, j] > 0], scores[observed[:, j] > 0, j]
        expected = mean + cov @ F.T @ np.linalg.solve(F @ cov @ F.T + noise * np.eye(len(F)), y - F @ mean)
        np.testing.assert_allclose(z[j], expected)
        posterior = cov - cov @ F.T @ np.linalg.solve(F @ cov @ F.T + noise * np.eye(len(F)), F @ cov)
        np.testing.assert_allclose(covariance[j], posterior)


def test_ridge_equals_a_dense_solve(rng: np.random.Generator) -> None:
    X, Y = rng.normal(size=(50, 5)), rng.normal(size=(50, 2))
    weight, offset = fit_ridge(X, Y, reg=2.0)
    Xc, Yc = X - X.mean(axis=0), Y - Y.mean(axis=0)
    np.testing.assert_allclose(weight, np.linalg.solve(Xc.T @ Xc + 2 * np.eye(5), Xc.T @ Yc))
    np.testing.assert_allclose((X @ weight + offset).mean(axis=0), Y.mean(axis=0))


def test_many_vectors_are_fitted_in_blocks_to_the_same(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    X, Y = rng.normal(size=(500, 5)).astype(np.float32), rng.normal(size=(500, 2))
    Y[:, 0] += X[:, 0]
    whole = fit_ridge(X, Y, reg=3.0)
    monkeypatch.setattr(ridge, "AT_ONCE", 1000)
    monkeypatch.setattr(ridge, "ROWS_AT_ONCE", 64)
    for one, other in zip(whole, fit_ridge(X, Y, reg=3.0), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    weight, _ = fit_ridge(X, Y)  # the penalty chosen on a third of the rows
    assert weight[0, 0] > 0.9


def test_the_penalty_is_the_one_with_the_least_error_on_left_out_rows(rng: np.random.Generator) -> None:
    X = rng.normal(size=(40, 10))
    Y = X[:, :1] + 2 * rng.normal(size=(40, 1))

    def left_out_error(reg: float) -> float:
        errors = []
        for i in range(40):
            rest = np.arange(40) != i
            weight, offset = fit_ridge(X[rest], Y[rest], reg)
            errors.append(float(((X[i] @ weight + offset - Y[i]) ** 2).sum()))
        return sum(errors)

    best = min(PENALTIES, key=left_out_error)
    np.testing.assert_allclose(fit_ridge(X, Y)[0], fit_ridge(X, Y, best)[0])


def test_noise_gets_the_largest_penalty(rng: np.random.Generator) -> None:
    X, Y = rng.normal(size=(60, 30)), rng.normal(size=(60, 3))
    weight, _ = fit_ridge(X, Y)
    assert np.abs(weight).max() < 0.1
