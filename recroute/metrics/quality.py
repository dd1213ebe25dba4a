"""What the chosen LLMs scored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.metrics.outcome import Outcome, weighted_mean
from recroute.util.numeric import Array


def mean_score(outcome: Outcome, weights: NDArray[np.floating] | None = None) -> Array:
    """RouterEval's mu: mean over j of S[j, c_j], c_j the highest-ranked LLM that was evaluated on instance j.

    Range [0, 1], higher is better. `unobserved_choice` tells how often c_j is not the first choice.

    >>> mean_score(Outcome.of([[1, 0], [0, 1], [0.5, 0]], choice=[0, 0, 0]))
    array([0.5])
    """
    return weighted_mean(outcome.chosen, weights)


def any_best(outcome: Outcome, weights: NDArray[np.floating] | None = None) -> Array:
    """Share of instances whose choice, judged as in `mean_score`, attains the instance's maximum; ties count.

    Range [0, 1], higher is better. 1 is the oracle.

    >>> any_best(Outcome.of([[1, 0], [0, 1], [0, 0]], choice=[0, 0, 0])).round(3)
    array([0.667])
    """
    return weighted_mean(np.where(outcome.judged, outcome.chosen >= outcome.best, np.nan), weights)


def unobserved_choice(outcome: Outcome, weights: NDArray[np.floating] | None = None) -> Array:
    """Share of instances whose chosen LLM was never evaluated on them. Range [0, 1]; 0 on complete data.

    Such a choice is judged by the next LLM of the ranking that was. It is neither counted as 0 nor left out.

    >>> unobserved_choice(Outcome.of([[1, float("nan")], [0, 1]], choice=[1, 1], judged_by=[0, 1]))
    array([0.5])
    """
    return weighted_mean(outcome.unobserved, weights)
