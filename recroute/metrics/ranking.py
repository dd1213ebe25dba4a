"""Quality of the whole ranking. Ties count in expectation over their orders.

Only the LLMs observed on an instance are ranked; unobserved ones are removed from the ranking. Routers that choose by
chance have no ranking and none of these metrics.
"""

from __future__ import annotations

from recroute.metrics.observed import RANKS
from recroute.metrics.outcome import Outcome, no_value, weighted_sum
from recroute.util.numeric import Array, Weights, known_mean, ratio


def ndcg(outcome: Outcome, weights: Weights | None = None, *, k: int = RANKS[-1]) -> Array:
    """DCG of the first k divided by that of the best order, where DCG = sum_r S[j, l_r] / log2(1 + r).

    Range [0, 1], higher is better; instances on which all scores are 0 are left out.

    Source: Jarvelin and Kekalainen 2002; ties as in McSherry and Najork 2008.

    >>> scores, predicted = [[0, 1, 0.5]], [[0.9, 0.8, 0.8]]  # second and third are tied: .75 each
    >>> ndcg(Outcome.of(scores, choice=[0], predicted=predicted), k=3).round(3)
    array([0.645])
    >>> import numpy as np
    >>> (0.75 / np.log2(3) + 0.75 / np.log2(4)) / (1 / np.log2(2) + 0.5 / np.log2(3))
    np.float64(0.644...)
    """
    return _mean(outcome, weights, "ndcg", k)


def hit(outcome: Outcome, weights: Weights | None = None, *, k: int = RANKS[-1]) -> Array:
    """Share of instances with a best LLM among the first k.

    Range [0, 1], higher is better; NaN if the pool has at most k LLMs, because every ranking would hit.

    >>> scores, predicted = [[0, 0, 0, 1]], [[0.9, 0.5, 0.5, 0.5]]  # two of the three tied ones fit into the first 3
    >>> hit(Outcome.of(scores, choice=[0], predicted=predicted), k=3).round(3)
    array([0.667])
    """
    return _mean(outcome, weights, "hit", k)


def mrr(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Mean over j of 1 / rank of the first LLM that attains the instance's maximum.

    Range (0, 1], higher is better.

    >>> scores, predicted = [[0, 1, 0], [1, 0, 0]], [[0.9, 0.5, 0.5], [0.9, 0.5, 0.5]]
    >>> mrr(Outcome.of(scores, choice=[0, 0], predicted=predicted)).round(3)  # ((1/2 + 1/3) / 2 + 1) / 2
    array([0.708])
    """
    return _mean(outcome, weights, "reciprocal_rank", None)


def agreement(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Share of the decided battles whose winner is predicted higher; equal predictions count half, ties are left out.

    Range [0, 1], higher is better, .5 is chance. Even the best router does not reach 1, because people disagree.

    >>> from recroute.metrics.outcome import Agreement
    >>> battles = Agreement.of([[0.9, 0.4, 0.4]], row=[0, 0, 0], llm_a=[0, 1, 0], llm_b=[1, 2, 2], outcome=[1, 0, 0.5])
    >>> agreement(Outcome.of([[1, 0, 0]], choice=[0], agreement=battles))  # right, equal and a tie: (1 + .5) / 2
    array([0.75])
    """
    if (battles := outcome.agreement) is None:
        return no_value(weights)
    return ratio(weighted_sum(battles.n_agreed, weights), weighted_sum(battles.n_decided, weights))


def _mean(outcome: Outcome, weights: Weights | None, name: str, k: int | None) -> Array:
    if outcome.predictions is None:
        return no_value(weights)
    values = getattr(outcome.predictions, name)
    return known_mean(values if k is None else values[:, RANKS.index(k)], weights)
