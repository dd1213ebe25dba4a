import numpy as np
import pytest

from recroute.bridges.ridge import WIDE
from recroute.data import Dataset, InteractionMatrix
from recroute.data.means import llm_means
from recroute.errors import DataError
from recroute.routers.subspace import leading_factors
from recroute.routers.sums.moments import Moments
from recroute.testing import planted_dataset

WIDTH = 5


def features(n: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n, WIDTH))


def moments(data: Dataset, X: np.ndarray, index: np.ndarray | None = None) -> Moments:
    rows = np.arange(data.n_instances) if index is None else index
    part = data.take_instances(rows)
    return Moments.of(part.interactions, part.tasks, lambda at: X[rows][at], pairwise=True)


@pytest.fixture(params=[0.0, 0.4, 0.95], ids=["complete", "dense", "sparse"])
def data(request: pytest.FixtureRequest) -> Dataset:
    return planted_dataset(n_instances=240, n_llms=6, missing=request.param)


def test_sums_of_parts_are_those_of_the_whole_in_any_order(data: Dataset) -> None:
    X = features(240)
    whole = moments(data, X)
    order = np.argsort(data.tasks, kind="stable")  # parts that lack tasks
    parts = [moments(data, X, index) for index in np.array_split(order, 7)]
    merged = parts[3] + parts[0] + parts[6] + parts[1] + parts[2] + parts[5] + parts[4]
    assert merged.tasks.tolist() == whole.tasks.tolist()
    for name in ("gram", "level", "seen", "score", "eased", "pairs", "products", "mixed"):
        np.testing.assert_allclose(getattr(merged, name), getattr(whole, name), atol=1e-9)
    left = merged - parts[4]
    again = left + parts[4]
    np.testing.assert_allclose(again.products, whole.products, atol=1e-9)


def test_more_than_there_is_cannot_be_taken_out(data: Dataset) -> None:
    X = features(240)
    few = moments(data, X, np.arange(30))
    with pytest.raises(DataError, match="do not hold all records"):
        few - moments(data, X)


def test_means_are_those_of_the_data_set(data: Dataset) -> None:
    np.testing.assert_allclose(moments(data, features(240)).llm_means(), llm_means(data), atol=1e-12)


def test_complete_moments_are_covariances_and_regressions() -> None:
    data, X = planted_dataset(n_instances=240, n_llms=6), features(240)
    found, S = moments(data, X), data.interactions.dense().astype(np.float64)
    mean = S.mean(axis=0)
    np.testing.assert_allclose(found.covariance(mean), np.cov(S.T, bias=True), atol=1e-12)
    centred = X - X.mean(axis=0)
    np.testing.assert_allclose(found.cross(mean), centred.T @ (S - mean), atol=1e-9)
    expected = np.linalg.solve(centred.T @ centred + 3 * np.eye(WIDTH), centred.T @ (S - mean))
    np.testing.assert_allclose(found.own_weights(mean, 3.0), expected, atol=1e-12)
    _, factors = leading_factors(found.covariance(mean), 2)
    np.testing.assert_allclose(found.shared_weights(mean, factors, 3.0), expected @ factors, atol=1e-12)


def test_each_factor_has_the_penalty_that_its_rows_would_choose(data: Dataset) -> None:
    X = features(240)
    found, mean = moments(data, X), llm_means(data)
    factors = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 2)))[0]
    used = data.interactions.instance_counts > 0
    deviation = np.nan_to_num(data.interactions.dense()[used] - mean).astype(np.float64)
    centred, n = X[used] - X[used].mean(axis=0), used.sum()
    Y = deviation @ factors @ np.linalg.inv((factors.T * (found.n_seen / n)) @ factors)
    Y -= Y.mean(axis=0)
    gram, expected = centred.T @ centred, np.empty((WIDTH, 2))
    for j, y in enumerate(Y.T):
        slopes = [np.linalg.solve(gram + penalty * np.eye(WIDTH), centred.T @ y) for penalty in WIDE[:-1]]
        slopes.append(np.zeros(WIDTH))
        freedom = [1 + np.trace(np.linalg.solve(gram + penalty * np.eye(WIDTH), gram)) for penalty in WIDE[:-1]] + [1]
        errors = [
            ((y - centred @ slope) ** 2).sum() / (1 - used_up / n) ** 2
            for slope, used_up in zip(slopes, freedom, strict=True)
        ]
        expected[:, j] = slopes[int(np.argmin(errors))]
    np.testing.assert_allclose(found.shared_weights(mean, factors, None), expected, atol=1e-9)


def test_covariance_of_sparse_records_comes_near_that_of_complete_ones() -> None:
    rng = np.random.default_rng(0)
    n, m = 40_000, 12
    skill = rng.normal(size=(m, 2))
    chance = 1 / (1 + np.exp(-rng.normal(size=(n, 2)) @ skill.T))
    S = (rng.random((n, m)) < chance).astype(np.float32)
    seen = np.argsort(rng.random((n, m)), axis=1) < 3  # three records a prompt
    rows, columns = np.nonzero(seen)
    matrix = InteractionMatrix.from_coordinates(rows, columns, S[seen], (n, m))
    found = Moments.of_pairs(matrix)
    C = found.covariance(found.llm_means())
    truth = np.cov(S.T, bias=True)
    assert np.corrcoef(C[np.triu_indices(m, 1)], truth[np.triu_indices(m, 1)])[0, 1] > 0.97
    assert np.abs(C - truth).max() < 0.03


def test_fewer_records_than_features_are_refused_unless_they_are_complete() -> None:
    def found(missing: float) -> Moments:
        data = planted_dataset(n_instances=100, n_llms=4, missing=missing)
        X = np.random.default_rng(0).normal(size=(100, 80))
        return Moments.of(data.interactions, data.tasks, lambda at: X[at], pairwise=True)

    complete = found(0.0)
    n, squares, cross = complete.as_complete(np.zeros(4))
    assert n == 100
    np.testing.assert_array_equal(squares, complete.feature_moments()[1])
    np.testing.assert_array_equal(cross, complete.cross(np.zeros(4)))
    with pytest.raises(DataError, match=r"too few to fit 80 features .* fit in memory, or use svd"):
        found(0.5).as_complete(np.zeros(4))


def test_few_largest_eigenvectors_of_a_large_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    A = np.random.default_rng(0).normal(size=(60, 200))
    exact = leading_factors(A @ A.T, 3)
    monkeypatch.setattr("recroute.routers.subspace.EXACT_LIMIT", 10)
    value, vectors = leading_factors(A @ A.T, 3)
    np.testing.assert_allclose(value, exact[0])
    np.testing.assert_allclose(np.abs(vectors.T @ exact[1]), np.eye(3), atol=1e-9)
