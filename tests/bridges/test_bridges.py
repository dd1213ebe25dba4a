from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import recroute.bridges.kernel as kernel_module
from recroute.bridges import BRIDGES, fit_bridge, fit_ridge, ridge
from recroute.bridges.bridge import bridge_class
from recroute.bridges.kernel import KernelBridge, gaussian
from recroute.bridges.neighbors import NeighborsBridge, left_out_errors
from recroute.bridges.ridge import PENALTIES, Spectrum, fit_weighted_ridge
from recroute.data import Dataset
from recroute.errors import RecrouteError
from recroute.retrieval import Neighbors
from recroute.routers import load_router, make_router
from recroute.splits import split_dataset


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As in a router's fit; threads that wait for each other make small matrices slow."""
    with threadpool_limits(limits=1):
        yield


def rows(n: int, d: int = 8, k: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)).astype(np.float32)
    return X, X[:, :k] ** 2 + 0.1 * rng.normal(size=(n, k)) + 2


def crossed(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Factors that turn round with the product of two coordinates: a linear map knows nothing of them."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 3)).astype(np.float32)
    sign = np.sign(X[:, 0] * X[:, 1])
    return X, np.column_stack([sign, 2 * sign]) + 0.2 * rng.normal(size=(n, 2)) + 1


def error(kind: str, X: np.ndarray, Y: np.ndarray, n_train: int) -> float:
    """Squared error on unseen rows, in units of that of the mean."""
    found = fit_bridge(kind, X[:n_train], Y[:n_train], reg=None, seed=0)(X[n_train:])
    rest = Y[n_train:]
    return float(((found - rest) ** 2).sum() / ((Y[:n_train].mean(axis=0) - rest) ** 2).sum())


@pytest.mark.parametrize("kind", BRIDGES)
def test_a_bridge_is_arrays_only_and_gives_float64_factors(kind: str) -> None:
    X, Y = rows(60)
    bridge = fit_bridge(kind, X, Y, reg=None, seed=0)
    found = bridge(X[:5])
    assert found.shape == (5, 3)
    assert found.dtype == np.float64
    arrays = {f.name: np.asarray(getattr(bridge, f.name)) for f in fields(bridge_class(kind))}
    assert all(isinstance(getattr(bridge, name), np.ndarray | np.generic) for name in arrays)
    np.testing.assert_array_equal(bridge_class(kind)(**arrays)(X[:5]), found)


@pytest.mark.parametrize("kind", BRIDGES)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_handful_of_prompts_is_enough(kind: str, n: int) -> None:
    X, Y = rows(n, k=1)
    assert np.isfinite(fit_bridge(kind, X, Y, reg=None, seed=0)(X)).all()


@pytest.mark.parametrize("kind", BRIDGES)
def test_text_that_is_the_same_everywhere_gives_the_mean(kind: str) -> None:
    _, Y = rows(40)
    for X in (np.zeros((40, 8), dtype=np.float32), np.ones((40, 8), dtype=np.float32)):
        found = fit_bridge(kind, X, Y, reg=None, seed=0)(X)
        np.testing.assert_allclose(found, np.tile(Y.mean(axis=0), (40, 1)), atol=0.35)


@pytest.mark.parametrize("kind", ["kernel", "neighbors", "mlp"])
def test_a_map_that_no_line_can_follow_is_learned(kind: str) -> None:
    X, Y = crossed()
    assert error("ridge", X, Y, 300) > 0.9
    assert error(kind, X, Y, 300) < 0.5


@pytest.mark.parametrize("kind", BRIDGES)
def test_text_that_says_nothing_does_not_hurt(kind: str) -> None:
    errors = []
    for seed in range(8):
        X, Y = crossed(seed=seed)
        errors.append(error(kind, np.random.default_rng(seed).permutation(X), Y, 300))
    assert np.mean(errors) < 1.02


@pytest.mark.parametrize("kind", BRIDGES)
def test_an_infinite_penalty_gives_the_mean(kind: str) -> None:
    X, Y = rows(50)
    found = fit_bridge(kind, X, Y, reg=np.inf, seed=0)(X)
    np.testing.assert_allclose(found, np.tile(Y.mean(axis=0), (50, 1)), atol=0.1 if kind == "mlp" else 1e-9)


@pytest.mark.parametrize("kind", BRIDGES)
def test_the_same_seed_gives_the_same_bridge_on_any_number_of_threads(kind: str, planted: Dataset) -> None:
    split = split_dataset(planted)
    predicted = []
    for n_threads in (1, 2, 2):
        with threadpool_limits(limits=n_threads):
            predicted.append(make_router("svd", bridge=kind, seed=5).fit(split.train).score(split.test))
    np.testing.assert_array_equal(predicted[0], predicted[1])
    np.testing.assert_array_equal(predicted[1], predicted[2])


@pytest.mark.parametrize("kind", BRIDGES)
@pytest.mark.parametrize("router", ["svd", "als"])
def test_every_bridge_serves_every_factorisation_and_survives_the_disk(
    kind: str, router: str, planted: Dataset, tmp_path: object
) -> None:
    split = split_dataset(planted)
    fitted = make_router(router, bridge=kind).fit(split.train)
    predicted = fitted.score(split.test)
    fitted.save(f"{tmp_path}/router")  # after scoring: an index that was built meanwhile is no part of it
    np.testing.assert_array_equal(load_router(f"{tmp_path}/router").score(split.test), predicted)
    chosen = fitted.rank(split.test).llm_index[:, 0]
    scores = split.test.interactions.dense()
    assert scores[np.arange(len(scores)), chosen].mean() > scores.mean() + 0.15


def test_an_unknown_bridge_is_refused() -> None:
    with pytest.raises(RecrouteError, match="did you mean"):
        fit_bridge("kernle", *rows(10), reg=None, seed=0)


def test_leave_one_out_in_closed_form_equals_brute_force() -> None:
    X, Y = rows(30)
    Xc, Yc = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64), Y - Y.mean(axis=0)
    errors = Spectrum.of(Xc).errors(Yc).sum(axis=1)
    for penalty, found in zip(PENALTIES, errors, strict=True):
        expected = 0.0
        for i in range(30):
            rest = np.arange(30) != i
            weight, offset = fit_ridge(X[rest], Y[rest], penalty)
            expected += float(((X[i] @ weight + offset - Y[i]) ** 2).sum())
        assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("n_targets", [2, 40])
def test_errors_of_many_targets_add_up_by_their_products(n_targets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    X, _ = rows(30)
    Y = np.random.default_rng(1).random((30, n_targets))
    spectrum, Y = Spectrum.of(X - X.mean(axis=0, dtype=np.float64)), Y - Y.mean(axis=0)
    expected = spectrum.errors(Y).sum(axis=1)
    monkeypatch.setattr(ridge, "ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(spectrum.total_errors(Y), expected, rtol=1e-10)


def test_a_weighted_row_counts_as_often_as_its_weight_says(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = rows(40)
    often = np.random.default_rng(0).integers(1, 4, 40)
    weight, offset = fit_weighted_ridge(X, Y, often.astype(np.float64), 0.5)
    repeated = fit_ridge(np.repeat(X, often, axis=0), np.repeat(Y, often, axis=0), 0.5 * often.mean())
    np.testing.assert_allclose(weight, repeated[0], atol=1e-6)
    np.testing.assert_allclose(offset, repeated[1], atol=1e-6)
    monkeypatch.setattr(ridge, "ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(fit_weighted_ridge(X, Y, often.astype(np.float64), 0.5)[0], weight, atol=1e-10)


def test_a_column_of_noise_is_predicted_by_its_mean_beside_one_that_the_vectors_tell() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 5))
    Y = np.column_stack([X @ rng.normal(size=5), rng.normal(size=300)])
    weight, _ = fit_weighted_ridge(X, Y, np.ones(300))
    assert np.abs(weight[:, 1]).max() < 0.5 * np.abs(fit_ridge(X, Y)[0][:, 1]).max()
    np.testing.assert_allclose(X @ weight[:, 0], Y[:, 0], atol=0.05)


def test_kernel_equals_a_dense_solve() -> None:
    X, Y = rows(60)
    bridge = KernelBridge.fit(X, Y, 0.7, 0)
    K = gaussian(X.astype(np.float64), X.astype(np.float64), float(bridge.width))
    system = np.block([[K + 0.7 * np.eye(60), np.ones((60, 1))], [np.ones((1, 60)), np.zeros((1, 1))]])
    solved = np.linalg.solve(system, np.vstack([Y, np.zeros((1, 3))]))  # weights, and an intercept without penalty
    new = rows(10, seed=1)[0]
    expected = gaussian(new.astype(np.float64), X.astype(np.float64), float(bridge.width)) @ solved[:60] + solved[60]
    np.testing.assert_allclose(bridge(new), expected, atol=1e-5)


def test_the_width_is_the_one_with_the_least_error_on_left_out_rows() -> None:
    X, Y = crossed(80)
    chosen = KernelBridge.fit(X, Y, 0.1, 0).width
    typical = np.sqrt(2 * X.astype(np.float64).var(axis=0).sum())
    errors = []
    for width in typical * np.array(kernel_module.WIDTHS):
        K = gaussian(X.astype(np.float64), X.astype(np.float64), width)
        error = 0.0
        for i in range(80):
            rest = np.flatnonzero(np.arange(80) != i)
            n = len(rest)
            system = np.block([[K[np.ix_(rest, rest)] + 0.1 * np.eye(n), np.ones((n, 1))], [np.ones((1, n)), 0]])
            solved = np.linalg.solve(system, np.vstack([Y[rest], np.zeros((1, 2))]))
            error += float(((K[i, rest] @ solved[:n] + solved[n] - Y[i]) ** 2).sum())
        errors.append(error)
    assert chosen == pytest.approx(typical * kernel_module.WIDTHS[int(np.argmin(errors))])


def test_nystroem_with_every_landmark_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = rows(120)
    exact = KernelBridge.fit(X, Y, 0.5, 0)
    monkeypatch.setattr(kernel_module, "EXACT_LIMIT", 100)
    monkeypatch.setattr(kernel_module, "N_LANDMARKS", 120)
    np.testing.assert_allclose(KernelBridge.fit(X, Y, 0.5, 0)(X), exact(X), atol=1e-6)


def test_nystroem_is_near_the_exact_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = crossed()
    exact = KernelBridge.fit(X, Y, 0.5, 0)(X)
    monkeypatch.setattr(kernel_module, "EXACT_LIMIT", 100)
    monkeypatch.setattr(kernel_module, "N_LANDMARKS", 100)
    near = KernelBridge.fit(X, Y, 0.5, 0)
    assert near.landmarks.shape == (100, 3)
    assert ((near(X) - exact) ** 2).mean() < 0.01 * exact.var()


def test_neighbours_by_hand() -> None:
    X = np.array([[1, 0], [0.6, 0.8], [0, 1], [-1, 0]], dtype=np.float32)
    Y = np.array([[1.0], [3.0], [5.0], [9.0]])
    two = NeighborsBridge.fit(X, Y, 0.4, 0, n_neighbors=2)
    mean = 4.5
    expected = (1 * 1 + 0.6 * 3 + 0.4 * mean) / (1 + 0.6 + 0.4)
    np.testing.assert_allclose(two(np.array([[2, 0]])), [[expected]], rtol=1e-6)
    np.testing.assert_allclose(two(np.zeros((1, 2))), [[mean]])  # a prompt like no other


def test_leaving_rows_out_equals_fitting_without_them() -> None:
    X, Y = crossed(150)
    counts, priors = np.array([5, 20, 149]), np.array([0.0, 2.0, np.inf])
    errors = left_out_errors(Neighbors(X), X, Y, np.arange(150), counts, priors)
    for i, n_neighbors in enumerate(counts):
        for j, prior in enumerate(priors):
            expected = 0.0
            for row in range(150):
                rest = np.arange(150) != row
                bridge = NeighborsBridge.fit(X[rest], Y[rest], prior, 0, n_neighbors=int(n_neighbors))
                expected += float(((bridge(X[[row]]) - Y[row]) ** 2).sum())
            assert errors[i, j] == pytest.approx(expected, rel=1e-4)


def test_a_row_is_left_out_also_among_copies_of_itself() -> None:
    X = np.ones((300, 4), dtype=np.float32)  # more copies than neighbours: the row itself may not be among them
    Y = np.random.default_rng(0).normal(size=(300, 1))
    errors = left_out_errors(Neighbors(X), X, Y, np.arange(300), np.array([1, 200]), np.array([0.0, np.inf]))
    assert errors[0, 0] > 0.9 * 300  # a neighbour that was the row itself would have no error
    np.testing.assert_allclose(errors[:, 1], ((Y - Y.mean()) ** 2).sum() * (300 / 299) ** 2)
