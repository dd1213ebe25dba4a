import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from recroute.errors import RouterError
from recroute.routers.mixture import _refilled, fit_mixture, k_means, log_densities


@pytest.mark.parametrize("spread", [0.5, 4.0], ids=["shared", "apart"])
def test_it_is_the_mixture_scikit_learn_fits(spread: float) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)) + spread * rng.normal(size=(3, 4))[rng.integers(0, 3, 300)]
    peer = GaussianMixture(3, random_state=5)
    expected = peer.fit_predict(X)
    (shares, centers, factors), member = fit_mixture(X, 3, seed=5)
    np.testing.assert_array_equal(member, expected)
    np.testing.assert_allclose(shares, peer.weights_, rtol=1e-6)
    np.testing.assert_allclose(centers, peer.means_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(factors, peer.precisions_cholesky_, rtol=1e-6, atol=1e-8)
    total = np.logaddexp.reduce(log_densities(X, (shares, centers, factors)), axis=1)
    np.testing.assert_allclose(total, peer.score_samples(X), rtol=1e-6)


def test_vectors_too_large_for_a_covariance_are_an_error() -> None:
    X = np.repeat(np.random.default_rng(0).normal(size=(20, 2)), 2, axis=1) * 1e9
    with pytest.raises(RouterError, match="component 0 of the Gaussian mixture is not positive definite"):
        fit_mixture(X, 1, seed=0)


@pytest.mark.parametrize("k", [1, 4, 30])
def test_it_starts_from_the_clusters_scikit_learn_finds(k: int) -> None:
    rng = np.random.default_rng(k)
    X = rng.normal(size=(200, 3)) + rng.normal(size=(5, 3))[rng.integers(0, 5, 200)]
    for seed in range(5):
        np.testing.assert_array_equal(k_means(X, k, seed), KMeans(k, n_init=1, random_state=seed).fit(X).labels_)


def test_a_cluster_that_loses_its_rows_gets_the_farthest_one() -> None:
    labels = _refilled(np.array([0, 0, 0, 0, 2]), np.array([4.0, 1, 0, 9, 0]), 3)
    assert labels.tolist() == [0, 0, 0, 1, 2]
