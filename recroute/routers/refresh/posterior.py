"""By how much an LLM's predicted scores are off: Bayesian linear regression, its prior chosen by the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.routers.refresh.sums import Sums

Array = NDArray[np.float64]

# Prior variances, in units of the noise: of an LLM's level, and of what all LLMs' scores change with the text.
LEVEL = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
TEXT = (0.0, 0.001, 0.01, 0.1, 1.0)
OWN_TEXT = 0.1  # of that variance, what one LLM's scores change with the text beside the others'
COMMON_LEVEL = 0.01  # what all scores change alike, a tenth or so: more, where only one LLM answers, is that LLM's own
PRIOR_ANSWERS = 10.0  # the noise is expected to be that of the predicted scores, as if so many answers had said so


@dataclass(frozen=True)
class Posterior:
    """Mean of `w[l] = common + own[l]`: the prediction for features x of a prompt is off by `x . w[l]`.

    Parameters
    ----------
    common : f64 (q,)
    weights : f64 (m, q)
    level, text : float
        The prior variances of most evidence.
    noise : float
        Variance of an observation, in units of the one that was expected.
    evidence : float
        Log marginal likelihood, up to a constant.
    """

    common: Array
    weights: Array
    level: float
    text: float
    noise: float
    evidence: float

    @property
    def own_variance(self) -> Array:
        """Prior variance of an LLM's own weights f64 (q,), in units of the noise."""
        return own_variance(self.level, self.text, len(self.common))

    @property
    def common_variance(self) -> Array:
        """Prior variance of the common weights f64 (q,), in units of the noise."""
        return common_variance(self.text, len(self.common))


def fit_posterior(sums: Sums) -> Posterior:
    """The posterior under the prior variances of most evidence (empirical Bayes); the least among equals.

    All LLMs share the variances. So with little feedback, or feedback that agrees with the predictions, the variances
    are 0 and no LLM moves against another; and one LLM that has changed shows in its own answers.
    Source: Bishop, Pattern Recognition and Machine Learning, section 3.5 (the evidence of a linear model).
    """
    seen = np.flatnonzero((sums.count > 0) | np.isin(np.arange(len(sums.count)), sums.pairs))
    of_seen = sums.take(seen)
    texts = TEXT if sums.moment.shape[1] > 1 else (0.0,)
    best: Posterior | None = None
    with threadpool_limits(limits=1, user_api="blas"):
        for level, text in product(LEVEL, texts):
            found = solve(of_seen, level, text)
            if best is None or found.evidence > best.evidence + 1e-9:
                best = found
    assert best is not None  # the grid is not empty
    weights = np.tile(best.common, (len(sums.count), 1))
    weights[seen] = best.weights
    return Posterior(best.common, weights, best.level, best.text, best.noise, best.evidence)


def own_variance(level: float, text: float, n_features: int) -> Array:
    return np.array([level, *[OWN_TEXT * text] * (n_features - 1)])


def common_variance(text: float, n_features: int) -> Array:
    return np.array([COMMON_LEVEL, *[text] * (n_features - 1)])


def solve(sums: Sums, level: float, text: float) -> Posterior:
    """The posterior under given prior variances, and their evidence.

    The LLMs are independent of each other given the common weights, but for battles, which tie the levels of two
    (Woodbury's identity); so the work grows with m q^3, and with the cube of the LLMs that battled.
    """
    G, h = sums.gram, sums.moment
    m, q = h.shape
    d, c = np.sqrt(own_variance(level, text, q)), np.sqrt(common_variance(text, q))
    dG = d[:, None] * G  # (m, q, q)
    A = np.eye(q) + dG * d
    laplacian, lead = _battles(sums)
    right = np.concatenate([dG, (d * h)[:, :, None]], axis=2)  # (m, q, q + 1)
    right[:, 0, q] += d[0] * lead
    Z = np.linalg.solve(A, right)
    log_determinant = np.linalg.slogdet(A)[1].sum()
    if len(sums.pairs):
        E = np.linalg.solve(A, np.eye(q)[:, :1])[:, :, 0]  # (m, q), first column of each inverse
        coupling = level * laplacian
        S = np.eye(m) + coupling * E[:, 0]
        Z = Z - E[:, :, None] * np.linalg.solve(S, coupling @ Z[:, 0])[:, None, :]
        log_determinant += np.linalg.slogdet(S)[1]
    rest = (np.swapaxes(dG, 1, 2) @ Z).sum(axis=0)  # (q, q + 1), what the LLMs' own weights explain
    P, r = G.sum(axis=0) - rest[:, :q], h.sum(axis=0) - rest[:, q]
    B = np.eye(q) + c[:, None] * P * c
    common = c * np.linalg.solve(B, c * r)
    log_determinant += np.linalg.slogdet(B)[1]
    squares = sums.square.sum() + sums.pair_sums[:, 3].sum() - (right[:, :, q] * Z[:, :, q]).sum() - r @ common
    n = sums.n_observations + PRIOR_ANSWERS
    noise = (max(float(squares), 0.0) + PRIOR_ANSWERS) / n
    own = d * (Z[:, :, q] - Z[:, :, :q] @ common)
    return Posterior(common, common + own, level, text, noise, float(-(log_determinant + n * np.log(noise)) / 2))


def _battles(sums: Sums) -> tuple[Array, Array]:
    """Graph Laplacian f64 (m, m) of the battles' weights, and each LLM's weighted residual lead f64 (m,)."""
    m = len(sums.count)
    a, b = sums.pairs.T
    _, weight, moment, _ = sums.pair_sums.T
    lead = np.zeros(m)
    np.add.at(lead, a, moment)
    np.subtract.at(lead, b, moment)
    laplacian = np.zeros((m, m) if len(a) else (0, 0))
    if len(a):
        laplacian[a, b] = laplacian[b, a] = -weight
        laplacian[np.arange(m), np.arange(m)] = -laplacian.sum(axis=1)
    return laplacian, lead


def variances(sums: Sums, posterior: Posterior, features: Array, llm_index: NDArray[np.int64]) -> tuple[Array, Array]:
    """Prior and posterior variance f64 (b, m) of what predictions of LLMs int (m,) are off by, beside what all are.

    Parameters
    ----------
    features : f64 (b, q)

    Battles are left out of it, which makes it a little too large.
    """
    d = np.sqrt(posterior.own_variance)
    prior = np.broadcast_to((features**2 @ d**2)[:, None], (len(features), len(llm_index)))
    A = np.eye(len(d)) + d[:, None] * sums.gram[llm_index] * d  # (m, q, q)
    X = features * d
    with threadpool_limits(limits=1, user_api="blas"):
        solved = np.linalg.solve(A, X.T[None])  # (m, q, b)
    after = np.einsum("bq,mqb->bm", X, solved)
    return posterior.noise * prior, posterior.noise * after
