"""Spread of a router's choices over the pool."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.metrics.outcome import Outcome, weighted_sum
from recroute.util.numeric import Array, Weights, known_mean, ratio


def selection_entropy(outcome: Outcome, weights: Weights | None = None) -> Array:
    """RouterEval's E_p: mean over j of the entropy in bits of the router's own distribution on instance j.

    The distribution is the softmax of the predicted scores unless the router defines another. Range [0, log2 m],
    without a better direction: 0 is a router that is always certain, log2 m one that does not distinguish LLMs.

    >>> selection_entropy(Outcome.of([[1, 0], [0, 1]], choice=[0, 0], entropy=entropy_bits([[0.5, 0.5], [1, 0]])))
    array([0.5])
    """
    return known_mean(outcome.entropy, weights)


def choice_entropy(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Entropy in bits of the LLMs actually chosen: -sum_l q_l log2 q_l, q_l the share of instances given to l.

    Range [0, log2 min(m, n)]; 0 means that the router always chooses the same LLM.

    >>> choice_entropy(Outcome.of([[1, 0], [0, 1], [1, 0], [0, 1]], choice=[0, 1, 0, 1]))
    array([1.])
    """
    return entropy_bits(shares(outcome, weights))


def coverage(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Share of the pool's LLMs that are chosen at least once.

    Range [1 / m, min(1, n / m)]. It has no interval, because a resample can only lose LLMs.

    >>> coverage(Outcome.of([[1, 0, 0], [0, 1, 0], [1, 0, 0]], choice=[0, 1, 0])).round(3)
    array([0.667])
    """
    return (shares(outcome, weights) > 0).sum(axis=1) / outcome.n_llms


def gini(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Gini coefficient of the LLMs' shares q of the choices: sum_l (2 l - m - 1) q_l / m, q in ascending order.

    Range [0, 1 - 1 / m]: 0 is an even spread over the pool, 1 - 1 / m a single LLM for all instances.

    >>> gini(Outcome.of([[1, 0], [0, 1], [1, 0], [0, 1]], choice=[0, 1, 0, 0]))
    array([0.25])
    """
    rising = np.sort(shares(outcome, weights), axis=1)
    m, d = outcome.n_llms, rising.shape[1]
    rank = np.arange(m - d + 1, m + 1)  # LLMs that are never chosen come first and add nothing
    return rising @ (2 * rank - m - 1) / m + 0.0  # (b, d) x (d,)


def shares(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Share of the choices of each LLM chosen at least once, f64 (b, distinct choices); NaN if all weights are 0."""
    chosen, position = np.unique(outcome.choice, return_inverse=True)
    member = np.eye(len(chosen))[position]  # (n, distinct choices)
    counts = weighted_sum(member, weights)
    return ratio(counts, counts.sum(axis=1, keepdims=True))


def entropy_bits(shares_of: NDArray[np.floating] | list[list[float]]) -> Array:
    """Entropy in bits of each row of shares f64 (n, m), with 0 log 0 = 0.

    >>> entropy_bits([[0.5, 0.5], [1, 0]])
    array([1., 0.])
    """
    p = np.asarray(shares_of, dtype=np.float64)
    logs = np.log2(p, out=np.zeros_like(p), where=p > 0)
    return -(p * logs).sum(axis=1) + 0.0  # + 0.0 turns -0.0 into 0.0
