"""By how much an LLM's predicted scores are off: Bayesian linear regression, the prior chosen by likelihood."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.routers.refresh.sums import Sums
from recroute.util.numeric import Array

# Prior variances, in units of the noise.
TEXT = (0.0, 0.001, 0.01, 0.1, 1.0)  # of what all LLMs' scores change with the text
OWN_TEXT = 0.1  # of that variance, what one LLM's scores change with the text beside the others'
LEVEL = 0.03  # of the level of an LLM that has changed, by some 0.2; of another it is 0
COMMON_LEVEL = 0.003  # what all scores change alike, about a twentieth: more, where only one LLM answers, is its own
CAUTION = 6.0  # log odds from which on it is believed that an LLM has changed
PRIOR_ANSWERS = 10.0  # the noise is expected to be that of the predicted scores, as if so many answers had said so
N_TRIED = 4


@dataclass(frozen=True, eq=False)
class Posterior:
    """Mean of `w[l] = common + own[l]`: the prediction for features x of a prompt is off by `x . w[l]`.

    Parameters
    ----------
    common : f64 (q,)
    weights : f64 (m, q)
    level : f64 (m,)
        Prior variance of each LLM's own level, in units of the noise.
    text : float
        Prior variance of what all scores change with the text.
    noise : float
        Variance of an observation, in units of the one that was expected.
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
    """The posterior under prior variances of the highest marginal likelihood (empirical Bayes).

    Levels change one LLM at a time: one after the other is taken to have changed, the most likely one first, as
    long as it gains `CAUTION`. So with little feedback, or with feedback that agrees with the predictions, no LLM's
    level moves against another's. Caution also because predictions are too high just where they are chosen for being
    high, which is no reason to turn to an LLM whose predictions have not been tried.
    Source: Bishop, Pattern Recognition and Machine Learning, section 3.5 (marginal likelihood of a linear model).
    """
    seen = np.flatnonzero((sums.count > 0) | np.isin(np.arange(len(sums.count)), sums.pairs))
    of_seen = sums.take_llms(seen)
    texts = TEXT if sums.moment.shape[1] > 1 else (0.0,)
    with threadpool_limits(limits=1, user_api="blas"):
        best = _best(solve(of_seen, np.zeros(len(seen)), text) for text in texts)
        while (found := _one_more(of_seen, best)) is not None:
            best = found
        best = _best(solve(of_seen, best.level, text) for text in texts)
    weights, level = np.tile(best.common, (len(sums.count), 1)), np.zeros(len(sums.count))
    weights[seen], level[seen] = best.weights, best.level
    return replace(best, weights=weights, level=level)


def _best(found: Iterable[Posterior]) -> Posterior:
    return max(found, key=lambda each: each.log_likelihood)  # the first among equals


def _one_more(sums: Sums, now: Posterior) -> Posterior | None:
    """The posterior if one LLM more has changed; None if that is not believed.

    Tried are the LLMs whose residuals are largest, and those of most observations: they pull the common level along.
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
    """The posterior under given prior variances, those of the levels f64 (m,), and their marginal likelihood.

    The LLMs are independent of each other given the common weights, but for battles, which tie the levels of two
    (Woodbury's identity); so the work grows with m q^3, and with the cube of the LLMs that battled.
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
    rest = (np.swapaxes(dG, 1, 2) @ Z).sum(axis=0)  # (q, q + 1), what the LLMs' own weights explain
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
    """Graph Laplacian f64 (m, m) of the battles' weights, and each LLM's weighted residual lead f64 (m,)."""
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
    """What the battles' leads f64 (m,) are off by under a posterior."""
    if not len(sums.pairs):
        return np.zeros(len(sums.count))
    laplacian, lead = _battles(sums)
    return lead - laplacian @ now.weights[:, 0]


def variances(sums: Sums, posterior: Posterior, features: Array, llm_index: NDArray[np.int64]) -> tuple[Array, Array]:
    """Prior and posterior variance f64 (b, m) of what predictions of LLMs int (m,) are off by, beside what all are.

    Parameters
    ----------
    features : f64 (b, q)

    Battles are left out of it, which makes it a little too large.
    """
    d = np.sqrt(_variances(posterior.level, posterior.text, features.shape[1])[0])[llm_index]  # (m, q)
    prior = features**2 @ d.T**2
    A = np.eye(d.shape[1]) + d[:, :, None] * sums.gram[llm_index] * d[:, None, :]  # (m, q, q)
    X = features * d[:, None, :]  # (m, b, q)
    with threadpool_limits(limits=1, user_api="blas"):
        solved = np.linalg.solve(A, np.swapaxes(X, 1, 2))  # (m, q, b)
    after = (np.swapaxes(X, 1, 2) * solved).sum(axis=1).T
    return posterior.noise * prior, posterior.noise * after
