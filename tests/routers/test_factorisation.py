import numpy as np
import pytest

from recroute.bridges import fit_ridge
from recroute.data import InteractionMatrix
from recroute.routers import factorisation
from recroute.routers.factorisation import factorise, fold_in, truncated_svd

RNG = np.random.default_rng(0)


def matrix_of(block: np.ndarray) -> InteractionMatrix:
    return InteractionMatrix.from_dense(block)


def low_rank(n: int, m: int, k: int, noise: float = 0.0) -> np.ndarray:
    block = RNG.uniform(0.3, 0.7, m) + 0.25 * RNG.normal(size=(n, k)) @ RNG.normal(size=(k, m)) / k
    return block + noise * RNG.normal(size=(n, m))


@pytest.mark.parametrize(("n", "m"), [(30, 50), (50, 30)])
def test_truncated_svd_equals_the_dense_one(n: int, m: int) -> None:
    matrix = RNG.normal(size=(n, m))
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    left, right = truncated_svd(matrix, 4)
    np.testing.assert_allclose(left @ right.T, (u[:, :4] * s[:4]) @ vt[:4], atol=1e-8)
    np.testing.assert_allclose(left.T @ left, np.eye(4), atol=1e-8)


def test_a_complete_block_gets_its_means_and_the_svd_of_the_rest() -> None:
    block = low_rank(40, 20, 3, noise=0.1)
    mean, left, right = factorise(matrix_of(block), 3)
    np.testing.assert_allclose(mean, block.mean(axis=0), atol=1e-6)
    u, s, vt = np.linalg.svd(block - block.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(left @ right.T, (u[:, :3] * s[:3]) @ vt[:3], atol=1e-5)


def test_a_large_complete_block_gets_the_same_in_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = matrix_of(low_rank(300, 80, 3, noise=0.02))
    at_once = factorise(matrix, 3)
    monkeypatch.setattr(factorisation, "AT_ONCE", 0)
    for one, other in zip(at_once, factorise(matrix, 3), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_unobserved_cells_are_recovered() -> None:
    truth = low_rank(200, 60, 2).clip(0, 1)
    hidden = RNG.random(truth.shape) < 0.3
    mean, left, right = factorise(matrix_of(np.where(hidden, np.nan, truth)), 2)
    error = (mean + left @ right.T - truth)[hidden]
    plain = (np.nanmean(np.where(hidden, np.nan, truth), axis=0) - truth)[hidden]
    assert np.sqrt((error**2).mean()) < 0.25 * np.sqrt((plain**2).mean())


def test_an_llm_never_run_on_a_task_is_placed_by_its_neighbours() -> None:
    strong = np.arange(40) % 2 == 0  # strong LLMs are good at both halves, weak ones at neither
    truth = np.where(strong, 0.9, 0.2)[None, :] + 0.05 * RNG.normal(size=(100, 40))
    block = truth.copy()
    block[50:, :4] = np.nan
    mean, _, _ = factorise(matrix_of(block), 2)
    np.testing.assert_allclose(mean[:4], truth.mean(axis=0)[:4], atol=0.06)


def test_fold_in_equals_a_dense_solve() -> None:
    loadings, mean = RNG.normal(size=(12, 3)), RNG.normal(size=3)
    root = RNG.normal(size=(3, 3))
    cov, noise = root @ root.T + np.eye(3), 0.3
    scores, observed = RNG.normal(size=(12, 2)), (RNG.random((12, 2)) < 0.6).astype(np.float64)
    z, covariance = fold_in(np.where(observed > 0, scores, np.nan), observed, loadings, mean, cov, noise)
    for j in range(2):
        F, y = loadings[observed[:, j] > 0], scores[observed[:, j] > 0, j]
        expected = mean + cov @ F.T @ np.linalg.solve(F @ cov @ F.T + noise * np.eye(len(F)), y - F @ mean)
        np.testing.assert_allclose(z[j], expected)
        posterior = cov - cov @ F.T @ np.linalg.solve(F @ cov @ F.T + noise * np.eye(len(F)), F @ cov)
        np.testing.assert_allclose(covariance[j], posterior)


def test_ridge_equals_a_dense_solve() -> None:
    X, Y = RNG.normal(size=(50, 5)), RNG.normal(size=(50, 2))
    weight, offset = fit_ridge(X, Y, reg=2.0)
    Xc, Yc = X - X.mean(axis=0), Y - Y.mean(axis=0)
    np.testing.assert_allclose(weight, np.linalg.solve(Xc.T @ Xc + 2 * np.eye(5), Xc.T @ Yc))
    np.testing.assert_allclose((X @ weight + offset).mean(axis=0), Y.mean(axis=0))


def test_the_penalty_is_the_one_with_the_least_error_on_left_out_rows() -> None:
    X = RNG.normal(size=(40, 10))
    Y = X[:, :1] + 2 * RNG.normal(size=(40, 1))
    penalties = np.geomspace(0.1, 1000, 13)

    def left_out_error(reg: float) -> float:
        errors = []
        for i in range(40):
            rest = np.arange(40) != i
            weight, offset = fit_ridge(X[rest], Y[rest], reg)
            errors.append(float(((X[i] @ weight + offset - Y[i]) ** 2).sum()))
        return sum(errors)

    # the closed form keeps the centring of all rows, so neighbouring penalties may swap
    best = min(penalties, key=left_out_error)
    chosen = fit_ridge(X, Y)[0]
    near = [fit_ridge(X, Y, reg)[0] for reg in (best / 10 ** (1 / 3), best, best * 10 ** (1 / 3))]
    assert min(np.abs(chosen - weight).max() for weight in near) < 1e-9


def test_noise_gets_the_largest_penalty() -> None:
    X, Y = RNG.normal(size=(60, 30)), RNG.normal(size=(60, 3))
    weight, _ = fit_ridge(X, Y)
    assert np.abs(weight).max() < 0.1
