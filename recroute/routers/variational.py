"""Low-rank model of a score matrix with unobserved cells, fitted by variational Bayes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recroute.data import InteractionMatrix
from recroute.data.cells import pass_over
from recroute.routers.subspace import leading_factors, leading_subspace, orthogonal
from recroute.routers.sums.moments import Moments
from recroute.util.numeric import Array, Floats

Floating = NDArray[np.floating]

MAX_ROUNDS = 20
TOLERANCE = 1e-3  # relative change of the noise; two rounds in a row below it end the fit
MIN_NOISE = 1e-6
LARGE = 1 << 26  # scores from which on a part of the instances is fitted first
PART = 4  # one in so many
NO_GRAMS = np.zeros((1, 1), dtype=np.float32)
MIN_SHARED = 0.75  # observed share from which a vector is updated with the Gram matrix of all cells
FEW = 16  # records an instance, on average, below which the start is the covariance of LLMs
FEW_ROUNDS = 3  # from there; later rounds were measured to shrink the factors to nothing


def has_few_records(matrix: InteractionMatrix) -> bool:
    """Whether instances have too few records to tell their vectors, but any two LLMs met on one, on average."""
    n, m = matrix.shape
    records = matrix.n_observed
    return records < n * min(FEW, m / 2) and records**2 >= n * m**2


@dataclass(eq=False)
class Vectors:
    """Gaussian posteriors of the vectors of one side of the model, instances or LLMs.

    Parameters
    ----------
    mean : f64 (rows, p)
    cov : f64 (p, p)
        Posterior covariance, averaged over the vectors.
    prior_mean, prior_cov : f64 (p,), f64 (p, p)
        Prior shared by all vectors and learned from them.
    """

    mean: Array
    cov: Array
    prior_mean: Array
    prior_cov: Array

    def learn_prior(self) -> None:
        self.prior_mean = self.mean.mean(axis=0)
        centred = self.mean - self.prior_mean
        p = self.mean.shape[1]
        self.prior_cov = centred.T @ centred / len(centred) + self.cov + 1e-6 * np.eye(p)


def factorise_missing(matrix: InteractionMatrix, n_factors: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """Factors of a matrix with unobserved cells: `score[i,l] = mean[l] + u[i] . v[l] + noise`.

    The vectors u of instances and (mean, v) of LLMs have Gaussian priors, which are learned from all vectors. Each
    vector gets its posterior given its own cells: an LLM evaluated on one task only is placed near the LLMs it
    resembles there, and an instance with three records stays close to the average instance. Each pass over the matrix
    updates all instances and then all LLMs. A vector with at least a share `MIN_SHARED` of its cells observed is
    updated with the Gram matrix of all cells, using predictions for the unobserved ones, which later rounds correct. A
    vector with fewer observed cells gets its own Gram matrix.

    With few records an instance (`has_few_records`) a random start ends near no factors at all. Rounds then start from
    the leading eigenvectors of the LLMs' covariance, and end early.
    Source: Ilin and Raiko, Practical approaches to principal component analysis in the presence of missing values,
    JMLR 2010; Lim and Teh, Variational Bayesian approach to movie rating prediction, KDD Cup 2007.

    Parameters
    ----------
    matrix : InteractionMatrix (n, m)
    n_factors : int
        k, at most the smaller side.
    seed : int

    Returns
    -------
    mean : f64 (m,)
    left : f64 (n, k)
        Orthonormal columns.
    right : f64 (m, k)
    """
    instances, llms, _ = _converged(matrix, min(n_factors, matrix.n_instances, matrix.n_llms), seed)
    return orthogonal(llms.mean[:, 0], instances.mean, llms.mean[:, 1:])


def _converged(matrix: InteractionMatrix, k: int, seed: int) -> tuple[Vectors, Vectors, float]:
    """Vectors of instances and LLMs, and the variance of the noise.

    Rounds over a large matrix start from the LLMs' vectors on a part of the instances, near to where they end; not if
    much of it is unobserved, because they then end elsewhere.
    """
    (n, m), n_converged = matrix.shape, 0  # rounds in a row with a change below TOLERANCE
    if few := has_few_records(matrix):
        instances, llms, noise = _start_from_pairs(matrix, k)
    elif matrix.n_observed > max(LARGE, MIN_SHARED * n * m) and n > PART * k:
        drawn = np.sort(np.random.default_rng(seed).permutation(n)[: n // PART])
        instances, llms, noise = _converged(matrix.take_instances(drawn), k, seed)
        instances.mean = np.tile(instances.prior_mean, (n, 1))
        _round(matrix, instances, llms, noise)  # its noise is that of the average instance
    else:
        instances, llms, noise = _start(matrix, k, seed)
    for _ in range(FEW_ROUNDS if few else MAX_ROUNDS):
        before, noise = noise, _round(matrix, instances, llms, noise)
        n_converged = n_converged + 1 if abs(noise - before) < TOLERANCE * before else 0
        if n_converged == 2:
            break
    return instances, llms, noise


def _start(matrix: InteractionMatrix, k: int, seed: int) -> tuple[Vectors, Vectors, float]:
    """Initial values: instance means, LLM deviations, and the leading factors of the residual."""
    n, m = matrix.n_instances, matrix.n_llms
    counts, n_observed = matrix.instance_counts, matrix.n_observed
    row, total, squares = np.empty(n), np.zeros(m), 0.0

    def sums(rows: slice) -> tuple[slice, Array, Array, float]:
        scores, observed = matrix.block(rows)
        mean = scores.sum(axis=1, dtype=np.float64) / np.maximum(counts[rows], 1)
        deviation = scores.sum(axis=0, dtype=np.float64) - mean @ observed
        return rows, mean, deviation, float(np.vdot(scores, scores))

    for rows, mean, deviation, squared in pass_over(matrix.shape, sums):
        row[rows] = mean
        total += deviation
        squares += squared
    average = float(row @ counts) / n_observed
    row[counts == 0] = average
    column = total / np.maximum(matrix.llm_counts, 1)
    row32, column32 = row.astype(np.float32), column.astype(np.float32)

    def residual(rows: slice) -> Floats:
        scores, observed = matrix.block(rows)
        observed *= row32[rows, None] + column32
        return np.subtract(scores, observed, out=scores)

    left, right = leading_subspace(residual, matrix.shape, k, 2, seed)
    length = np.linalg.norm(left, axis=0) / np.sqrt(n)
    length = np.maximum(length, 1e-6 * max(length.max(initial=0), 1e-6))
    scale = np.sqrt(n * m / n_observed)  # corrects for the unobserved cells, which were 0 above
    noise = max((squares / n_observed - average**2) / 2, MIN_NOISE)
    instances = Vectors(left / length, np.zeros((k, k)), np.zeros(k), np.eye(k))
    z = np.column_stack([row.mean() + column, right * length * scale])
    llms = Vectors(z, np.zeros((1 + k, 1 + k)), z.mean(axis=0), np.eye(1 + k))
    llms.learn_prior()
    return instances, llms, noise


def _start_from_pairs(matrix: InteractionMatrix, k: int) -> tuple[Vectors, Vectors, float]:
    """Initial values from the LLMs' means and their covariance over the instances on which two of them met."""
    n = matrix.n_instances
    moments = Moments.of_pairs(matrix)
    mean = moments.llm_means()
    covariance = moments.covariance(mean)
    value, axes = leading_factors(covariance, k)
    z = np.column_stack([mean, axes * np.sqrt(value.clip(min=0))])
    instances = Vectors(np.zeros((n, k)), np.zeros((k, k)), np.zeros(k), np.eye(k))
    llms = Vectors(z, np.zeros((1 + k, 1 + k)), z.mean(axis=0), np.eye(1 + k))
    llms.learn_prior()
    return instances, llms, max(float(covariance.diagonal().mean()) / 2, MIN_NOISE)


def _round(matrix: InteractionMatrix, instances: Vectors, llms: Vectors, noise: float) -> float:
    """Update the posteriors of all instances, then of all LLMs, in place; returns the new noise variance."""
    n, m = matrix.n_instances, matrix.n_llms
    k = instances.mean.shape[1]
    z = llms.mean.astype(np.float32)
    few_llms = matrix.llm_counts < MIN_SHARED * n
    of_instances = _Update.of(llms.mean[:, 1:], llms.cov[1:, 1:], llms.cov[0, 1:], instances, noise)

    def work(rows: slice) -> tuple[slice, Array, Array, Floats, Floats, float]:
        scores, observed = matrix.block(rows)
        counts, u = matrix.instance_counts[rows], instances.mean[rows]
        error = _error(scores, observed, u, z)
        squared = float(np.vdot(error, error))
        few = counts < MIN_SHARED * m
        own = observed[few] @ of_instances.pairs if few.any() else NO_GRAMS  # (w, m) x (m, k(k+1)/2)
        u, cov = of_instances(u, counts, error @ z[:, 1:], few, own)
        loadings = _with_one(u)
        error = _error(scores, observed, u, z)
        right = loadings.astype(np.float32).T @ error  # (1 + k, b) x (b, m)
        own = observed[:, few_llms].T @ _pairs(loadings) if few_llms.any() else NO_GRAMS
        return rows, u, cov, right, own, squared

    right, grams = np.zeros((1 + k, m)), np.zeros((1, 1))
    total, squared = np.zeros((k, k)), 0.0
    for rows, u, cov, of_rows, own, error in pass_over(matrix.shape, work):
        instances.mean[rows] = u
        total += cov
        right += of_rows
        grams = grams + own
        squared += error
    instances.cov = total / n
    cov = np.zeros((1 + k, 1 + k))
    cov[1:, 1:] = instances.cov
    of_llms = _Update.of(_with_one(instances.mean), cov, np.zeros(1 + k), llms, noise)
    llms.mean, total = of_llms(llms.mean, matrix.llm_counts, right.T, few_llms, grams)
    llms.cov = total / m
    instances.learn_prior()
    llms.learn_prior()
    v = llms.mean[:, 1:]
    uncertainty = np.sum(instances.cov * (v.T @ v) / m) + np.sum(llms.cov * (of_llms.y.T @ of_llms.y / n + cov))
    return max(squared / matrix.n_observed + float(uncertainty), MIN_NOISE)


@dataclass(frozen=True, eq=False)
class _Update:
    """Updates the vectors x of one side to their posterior means, given the vectors y f64 (q, p) of the other side.

    `y_cov` f64 (p, p) is the mean posterior covariance of y, `cross` f64 (p,) that of y with the bias.
    """

    y: Array
    y_cov: Array
    cross: Array
    prior_mean: Array
    precision: Array
    noise: float
    shared: Array

    @cached_property
    def pairs(self) -> Floats:
        return _pairs(self.y)

    @classmethod
    def of(cls, y: Array, y_cov: Array, cross: Array, side: Vectors, noise: float) -> _Update:
        precision = np.asarray(np.linalg.inv(side.prior_cov), dtype=np.float64)
        shared = np.asarray(np.linalg.inv((y.T @ y + len(y) * y_cov) / noise + precision), dtype=np.float64)
        return cls(y, y_cov, cross, side.prior_mean, precision, noise, shared)

    def __call__(
        self,
        x: Array,
        counts: NDArray[np.int64],
        right: Floating,
        few: NDArray[np.bool_],
        gram: Floating,
    ) -> tuple[Array, Array]:
        """New vectors f64 (b, p) and the sum of their covariances f64 (p, p).

        `right` (b, p) is the sum of error times y over the observed cells, with the errors of the old vectors x. `few`
        bool (b,) marks the w vectors that have their own Gram matrices `gram` (w, p(p+1)/2).
        """
        slope = (right - counts[:, None] * (x @ self.y_cov + self.cross)) / self.noise
        slope -= (x - self.prior_mean) @ self.precision
        new = x + slope @ self.shared
        total = (len(x) - few.sum()) * self.shared
        if few.any():
            own = _unpacked(gram, x.shape[1]) + counts[few, None, None] * self.y_cov
            cov = np.linalg.inv(own / self.noise + self.precision)
            new[few] = x[few] + (cov @ slope[few, :, None])[:, :, 0]
            total = total + cov.sum(axis=0)
        return new, total


def _error(scores: Floats, observed: Floats, u: Array, z: Floats) -> Floats:
    """Observed minus predicted scores f32 (b, m); 0 where unobserved."""
    error = _with_one(u).astype(np.float32) @ z.T  # (b, 1 + k) x (1 + k, m)
    np.subtract(scores, error, out=error)
    error *= observed
    return error


def _with_one(u: Array) -> Array:
    return np.column_stack([np.ones(len(u)), u])


def _pairs(y: Array) -> Floats:
    """Upper triangles f32 (q, p(p+1)/2) of the outer products of the rows; their weighted sum is a Gram matrix."""
    first, second = np.triu_indices(y.shape[1])
    return (y[:, first] * y[:, second]).astype(np.float32)


def _unpacked(pairs: Floating, p: int) -> Array:
    """Symmetric matrices f64 (w, p, p) from their upper triangles (w, p(p+1)/2)."""
    first, second = np.triu_indices(p)
    whole = np.empty((len(pairs), p, p))
    whole[:, first, second] = pairs
    whole[:, second, first] = pairs
    return whole
