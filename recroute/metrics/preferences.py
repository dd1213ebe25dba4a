"""Predicted scores against preferences: does the router rank as people, or a judge, do?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.metrics.outcome import Outcome
from recroute.util.numeric import Array


def agreement(outcome: Outcome, weights: NDArray[np.floating] | None = None) -> Array:
    """Share of the decided battles whose winner is predicted higher; equal predictions count half, ties are left out.

    Range [0, 1], higher is better, .5 is chance. Not 1 for the best router there is, for people who prefer differ.

    >>> from recroute.metrics.battles import Agreement
    >>> battles = Agreement.of([[0.9, 0.4, 0.4]], row=[0, 0, 0], llm_a=[0, 1, 0], llm_b=[1, 2, 2], outcome=[1, 0, 0.5])
    >>> agreement(Outcome.of([[1, 0, 0]], choice=[0], agreement=battles))  # right, equal and a tie: (1 + .5) / 2
    array([0.75])
    """
    if (found := outcome.agreement) is None:
        return np.full(1 if weights is None else len(weights), np.nan)
    weights = np.ones((1, len(outcome))) if weights is None else weights
    above, below = weights @ found.n_agreed, weights @ found.n_decided  # (b, n) x (n,)
    return np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0)
