"""Errors of each LLM's predicted scores: Bayesian linear regression with a prior chosen by marginal likelihood."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.routers.refresh.sums import Sums
from recroute.util.numeric import Array

# Prior variances, in units of the noise.
TEXT = (0.0, 0.001, 0.01, 0.1, 1.0)  # candidates for the text-dependent error shared by all LLMs
OWN_TEXT = 0.1  # text-dependent error of a single LLM, as a share of the shared variance
LEVEL = 0.03  # level of an LLM that has changed, which corresponds to about 0.2; 0 for the others
COMMON_LEVEL = 0.003  # level shared by all LLMs, about 0.05; a larger shift of the only LLM that answers is its own
CAUTION = 6.0  # log odds required to believe that an LLM has changed
PRIOR_ANSWERS = 10.0  # weight of the expected noise, in answers
N_TRIED = 4  # LLMs tried by each of two criteria


@dataclass(frozen=True, eq=False)
class Posterior:
    """Posterior mean of `w[l] = common + own[l]`, where `x . w[l]` is the error of LLM l's predictions at features x.

    Parameters
    ----------
    common : f64 (q,)
    weights : f64 (m, q)
    level : f64 (m,)
        Prior variance of each LLM's own level, in units of the noise.
    text : float
        Prior variance of the text-dependent error shared by all LLMs, in units of the noise.
    noise : float
        Variance of an observation, relative to its expected variance.
    log_likelihood : float
        Log marginal likelihood, up to a constant.
    """

    common: Array
    weights: Array
    level: Array
    text: float
    noise: float
    log_likelihood: float


def fit_posterior(sums: Sums) -> Posterior:
    """Posterior under the prior variances with the highest marginal likelihood (empirical Bayes).

    LLMs are accepted as changed one at a time, most likely first, as long as the log likelihood rises by `CAUTION`. So
    with little feedback, or feedback that agrees with the predictions, the LLMs' levels stay equal. Caution is needed
    because the predictions of chosen LLMs are too high on average (they were chosen for being high), which is no
    evidence for LLMs whose predictions have not been tested.
    Source: Bishop, Pattern Recognition and Machine Learning, section 3.5 (marginal likelihood of a linear model).
    """
    seen = np.flatnonzero((sums.count > 0) | np.isin(np.arange(len(sums.count)), sums.pairs))
    of_seen = sums.take_llms(seen)
    texts = TEXT if sums.moment.shape[1] > 1 else (0.0,)
    with threadpool_limits(limits=1, user_api="blas"):
        best = _best(solve(of_seen, np.zeros(len(seen)), text) for text in texts)
        while (better := _one_more(of_seen, best)) is not None:
            best = better
        best = _best(solve(of_seen, best.level, text) for text in texts)
    weights, level = np.tile(best.common, (len(sums.count), 1)), np.zeros(len(sums.count))
    weights[seen], level[seen] = best.weights, best.level
    return replace(best, weights=weights, level=level)


def _best(posteriors: Iterable[Posterior]) -> Posterior:
    return max(posteriors, key=lambda each: each.log_likelihood)  # ties go to the first


def _one_more(sums: Sums, now: Posterior) -> Posterior | None:
    """Posterior with one more changed LLM; None if the evidence is too weak.

    Candidates are the LLMs with the largest residuals and those with most observations, which affect the common level.
    """
    weight = sums.gram[:, 0, 0] + _battles(sums)[0].diagonal() if len(sums.pairs) else sums.gram[:, 0, 0]
    lead = sums.moment[:, 0] - (sums.gram[:, 0] * now.weights).sum(axis=1) + _lead(sums, now)
    still = now.level == 0
    tried = {
        int(llm)
        for by in (lead**2 / np.maximum(weight, 1e-12), weight)
        for llm in np.argsort(np.where(still, -by, np.inf), kind="stable")[:N_TRIED]
        if still[llm]
    }
    if not tried:
        return None
    of = np.arange(len(weight))
    best = _best(solve(sums, np.where(of == llm, LEVEL, now.level), now.text) for llm in sorted(tried))
    return best if best.log_likelihood > now.log_likelihood + CAUTION else None


def _variances(level: Array, text: float, n_features: int) -> tuple[Array, Array]:
    """Prior variances of the LLMs' own weights f64 (m, q) and of the common ones f64 (q,)."""
    of_text = np.full(n_features - 1, text)
    own = np.column_stack([level, np.tile(OWN_TEXT * of_text, (len(level), 1))])
    return own, np.append(COMMON_LEVEL, of_text)


def solve(sums: Sums, level: Array, text: float) -> Posterior:
    """Posterior and marginal likelihood for given prior variances: `level` f64 (m,) of each LLM, and `text`.

    Given the common weights the LLMs are independent, except for battles, which couple the levels of two LLMs
    (Woodbury's identity). The cost grows with m q^3 and with the cube of the number of LLMs in battles.
    """
    G, h = sums.gram, sums.moment
    m, q = h.shape
    own, common = _variances(level, text, q)
    d, c = np.sqrt(own), np.sqrt(common)
    dG = d[:, :, None] * G  # (m, q, q)
    A = np.eye(q) + dG * d[:, None, :]
    right = np.concatenate([dG, (d * h)[:, :, None]], axis=2)  # (m, q, q + 1)
    if len(sums.pairs):
        laplacian, lead = _battles(sums)
        right[:, 0, q] += d[:, 0] * lead
    Z = np.linalg.solve(A, right)
    log_determinant = np.linalg.slogdet(A)[1].sum()
    if len(sums.pairs):
        E = np.linalg.solve(A, np.eye(q)[:, :1])[:, :, 0]  # (m, q), first column of each inverse
        coupling = d[:, 0][:, None] * laplacian * d[:, 0]
        S = np.eye(m) + coupling * E[:, 0]
        Z = Z - E[:, :, None] * np.linalg.solve(S, coupling @ Z[:, 0])[:, None, :]
        log_determinant += np.linalg.slogdet(S)[1]
    rest = (np.swapaxes(dG, 1, 2) @ Z).sum(axis=0)  # (q, q + 1): explained by the LLMs' own weights
    P, r = G.sum(axis=0) - rest[:, :q], h.sum(axis=0) - rest[:, q]
    B = np.eye(q) + c[:, None] * P * c
    mean = c * np.linalg.solve(B, c * r)
    log_determinant += np.linalg.slogdet(B)[1]
    squares = sums.square.sum() + sums.pair_sums[:, 3].sum() - (right[:, :, q] * Z[:, :, q]).sum() - r @ mean
    n = sums.n_observations + PRIOR_ANSWERS
    noise = (max(float(squares), 0.0) + PRIOR_ANSWERS) / n
    weights = mean + d * (Z[:, :, q] - Z[:, :, :q] @ mean)
    return Posterior(mean, weights, level, text, noise, float(-(log_determinant + n * np.log(noise)) / 2))


def _battles(sums: Sums) -> tuple[Array, Array]:
    """Graph Laplacian f64 (m, m) of the battle weights, and each LLM's weighted residual lead f64 (m,)."""
    m = len(sums.count)
    a, b = sums.pairs.T
    _, weight, moment, _ = sums.pair_sums.T
    lead = np.zeros(m)
    np.add.at(lead, a, moment)
    np.subtract.at(lead, b, moment)
    laplacian = np.zeros((m, m))
    laplacian[a, b] = laplacian[b, a] = -weight
    laplacian[np.arange(m), np.arange(m)] = -laplacian.sum(axis=1)
    return laplacian, lead


def _lead(sums: Sums, now: Posterior) -> Array:
    """Residual of each LLM's leads f64 (m,) in battles under a posterior."""
    if not len(sums.pairs):
        return np.zeros(len(sums.count))
    laplacian, lead = _battles(sums)
    return lead - laplacian @ now.weights[:, 0]


def principal_directions(vectors: NDArray[np.float32] | None, n_dims: int) -> tuple[Array, Array]:
    """Centre f64 (d,) and projection f64 (d, k) of training vectors f32 (n, d) to their leading principal components.

    The projected training vectors have mean squared length 1. Without vectors, or if all are equal, d and k are 0.
    """
    from scipy.linalg import eigh

    empty = np.zeros(0), np.zeros((0, 0))
    if vectors is None or n_dims == 0 or len(vectors) < 2:
        return empty
    centre = vectors.mean(axis=0, dtype=np.float64)
    centred = vectors - centre
    d = len(centre)
    with threadpool_limits(limits=1, user_api="blas"):
        moments = centred.T @ centred / len(centred)  # (d, n) x (n, d)
        value, direction = eigh(moments, subset_by_index=[max(0, d - n_dims), d - 1])
    kept = np.flatnonzero(value > max(1e-9 * value[-1], 1e-12))[::-1]
    if len(kept) == 0:
        return empty
    projection = direction[:, kept] / np.sqrt(value[kept].sum())
    largest = projection[np.abs(projection).argmax(axis=0), np.arange(len(kept))]
    return centre, projection * np.sign(largest)  # an eigenvector's sign is arbitrary


def variances(sums: Sums, posterior: Posterior, features: Array, llm_index: NDArray[np.int64]) -> tuple[Array, Array]:
    """Prior and posterior variance f64 (b, m) of the LLMs' own errors at features f64 (b, q), for LLMs int (m,).

    Battles are ignored, so the posterior variance is slightly too large.
    """
    d = np.sqrt(_variances(posterior.level, posterior.text, features.shape[1])[0])[llm_index]  # (m, q)
    prior = features**2 @ d.T**2
    A = np.eye(d.shape[1]) + d[:, :, None] * sums.gram[llm_index] * d[:, None, :]  # (m, q, q)
    X = features * d[:, None, :]  # (m, b, q)
    with threadpool_limits(limits=1, user_api="blas"):
        solved = np.linalg.solve(A, np.swapaxes(X, 1, 2))  # (m, q, b)
    after = (np.swapaxes(X, 1, 2) * solved).sum(axis=1).T
    return posterior.noise * prior, posterior.noise * after
