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
KMEANS_ROUNDS, KMEANS_GAIN = 300, 1e-4  # likewise
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
    shares = np.eye(k)[k_means(X, k, seed)]  # (n, k)
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


def k_means(X: Array, k: int, seed: int) -> NDArray[np.int64]:
    """Cluster int64 (n,) of each row of X, f64 (n, d), as `KMeans(k, n_init=1, random_state=seed)` labels them.

    Centers are drawn greedily as in k-means++, then moved by Lloyd's rounds. Importing scikit-learn for it takes longer
    than to fit a mixture to ten thousand prompts.
    """
    X = X - X.mean(axis=0)
    lengths = np.einsum("nd,nd->n", X, X)
    centers, before = X[_drawn(X, lengths, k, seed)], None
    tolerance = KMEANS_GAIN * lengths.sum() / X.size  # relative to the mean variance of a column
    for _ in range(KMEANS_ROUNDS):
        distances = _distances(X, lengths, centers)
        labels = distances.argmin(axis=1)
        if before is not None and (labels == before).all():
            return labels
        before, moved = labels, _refilled(labels, distances.min(axis=1), k)
        new = np.eye(k)[moved].T @ X / np.bincount(moved, minlength=k).clip(min=1)[:, None]
        shift, centers = ((new - centers) ** 2).sum(), new
        if shift <= tolerance:
            break
    return _distances(X, lengths, centers).argmin(axis=1)


def _drawn(X: Array, lengths: Array, k: int, seed: int) -> NDArray[np.int64]:
    """Rows int64 (k,) of X to start from: each the best of a few, drawn in proportion to the squared distance."""
    rng, n = np.random.RandomState(seed), len(X)
    found = [rng.choice(n, p=np.full(n, 1 / n))]
    nearest = _distances(X, lengths, X[found])[:, 0]
    for _ in range(1, k):
        drawn = rng.uniform(size=2 + int(np.log(k))) * nearest.sum()
        rows = np.searchsorted(np.cumsum(nearest), drawn).clip(max=n - 1)
        left = np.minimum(nearest[:, None], _distances(X, lengths, X[rows]))
        best = left.sum(axis=0).argmin()
        found.append(rows[best])
        nearest = left[:, best]
    return np.array(found)


def _distances(X: Array, lengths: Array, centers: Array) -> Array:
    """Squared distances f64 (n, k) of each row, whose squared lengths are given, from centers f64 (k, d)."""
    return (lengths[:, None] - 2 * (X @ centers.T) + (centers**2).sum(axis=1)).clip(min=0)


def _refilled(labels: NDArray[np.int64], distances: Array, k: int) -> NDArray[np.int64]:
    """The clusters of the rows, where an empty one gets the row that is farthest from its center."""
    empty = np.flatnonzero(np.bincount(labels, minlength=k) == 0)
    if len(empty) == 0 or distances.max() == 0:
        return labels
    moved = labels.copy()
    moved[np.argsort(-distances, kind="stable")[: len(empty)]] = empty
    return moved


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
