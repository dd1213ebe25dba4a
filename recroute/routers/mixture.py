"""Gaussian mixture with full covariances, fitted as scikit-learn does and several times as fast; used by `cluster`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.linalg.blas import dsyrk, dtrmm

from recroute.errors import RouterError

Array = NDArray[np.float64]
Mixture = tuple[Array, Array, Array]  # shares (k,), centers (k, d), upper triangular U (k, d, d): precision is U U'
MAX_ROUNDS, MIN_GAIN, RIDGE = 100, 1e-3, 1e-6  # scikit-learn's defaults
NEGLIGIBLE = 1e-16  # responsibilities below this change no sum in double precision


def fit_mixture(X: Array, k: int, seed: int) -> tuple[Mixture, NDArray[np.int64]]:
    """Fit k components by expectation maximisation from k-means, as `GaussianMixture(k)` of scikit-learn does.

    In hundreds of dimensions nearly all responsibilities are 0 or 1. A prompt enters the covariance of those components
    only that have a share in it, and the fit stops once responsibilities repeat: the parameters then repeat, too.

    Parameters
    ----------
    X : f64 (n, d)
    k : int
        At most n.
    seed : int
        Seed of k-means.

    Returns
    -------
    mixture : (f64 (k,), f64 (k, d), f64 (k, d, d))
    member : int64 (n,)
        Most likely component of each row.

    Raises
    ------
    RouterError
        The covariance of a component is not positive definite.
    """
    from sklearn.cluster import KMeans

    shares = np.eye(k)[KMeans(k, n_init=1, random_state=seed).fit(X).labels_]  # (n, k)
    mixture, bound = _maximise(X, shares), -np.inf
    joint = log_densities(X, mixture)
    for _ in range(MAX_ROUNDS):
        total = np.logaddexp.reduce(joint, axis=1)
        before, shares = shares, np.exp(joint - total[:, None])
        if np.abs(shares - before).max() < NEGLIGIBLE:
            break
        mixture = _maximise(X, shares)
        joint = log_densities(X, mixture)
        gain, bound = total.mean() - bound, total.mean()
        if abs(gain) < MIN_GAIN:
            break
    return mixture, joint.argmax(axis=1)


def log_densities(X: Array, mixture: Mixture) -> Array:
    """Logarithm f64 (n, k) of each component's share times its density at each row of X, f64 (n, d)."""
    values = np.empty((len(X), len(mixture[0])))
    for c, (share, center, factor) in enumerate(zip(*mixture, strict=True)):
        white = dtrmm(1.0, factor.T, (X - center).T, lower=1, overwrite_b=1)  # (d, d) x (d, n)
        constant = np.log(share) + np.log(np.diag(factor)).sum() - len(center) / 2 * np.log(2 * np.pi)
        values[:, c] = constant - np.einsum("dn,dn->n", white, white) / 2
    return values


def _maximise(X: Array, shares: Array) -> Mixture:
    """Parameters of greatest likelihood where component c has `shares[i, c]` of row i."""
    size = shares.sum(axis=0) + 10 * np.finfo(float).eps
    centers = shares.T @ X / size[:, None]
    factors = np.empty((len(size), X.shape[1], X.shape[1]))
    for c, center in enumerate(centers):
        rows = np.flatnonzero(shares[:, c] > NEGLIGIBLE)
        weighted = (X[rows] - center) * np.sqrt(shares[rows, c, None])
        covariance = dsyrk(1 / size[c], weighted.T)  # the upper triangle of (d, n) x (n, d)
        covariance[np.diag_indices_from(covariance)] += RIDGE
        try:
            root = cholesky(covariance, overwrite_a=True)
        except LinAlgError:
            raise RouterError(
                f"the covariance of component {c} of the Gaussian mixture is not positive definite; choose fewer "
                "clusters or scale the prompt vectors to length 1"
            ) from None
        factors[c] = solve_triangular(root, np.eye(len(root)), overwrite_b=True)
    return size / size.sum(), centers, factors
