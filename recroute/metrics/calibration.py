"""Predicted scores P against observed scores S, over the observed cells.

All of it is about every LLM of the pool, chosen or not. A router whose predictions are no scores (`bpr`) can rank
well and is far off here.
"""

from __future__ import annotations

import numpy as np

from recroute.metrics.outcome import Outcome, Weights, no_value, weighted_sum
from recroute.util.numeric import Array, ratio


def brier(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Mean of (P - S)^2. Range [0, 1] for predictions in [0, 1], lower is better.

    >>> brier(Outcome.of([[1, 0]], choice=[0], predicted=[[0.8, 0.4]]))
    array([0.1])
    """
    found = outcome.predictions
    if found is None:
        return no_value(weights)
    return ratio(weighted_sum(found.squared_error, weights), weighted_sum(found.n_cells, weights))


def ece(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Expected calibration error: sum over 15 equal bins of P of |sum of P - S in the bin| / cells.

    Range [0, 1] for predictions in [0, 1], lower is better. A resample adds noise to every bin, so the interval
    lies high. Source: Naeini et al., Obtaining well calibrated probabilities using Bayesian binning, AAAI 2015.

    >>> ece(Outcome.of([[1, 0], [1, 1]], choice=[0, 0], predicted=[[0.9, 0.1], [0.9, 0.1]])).round(3)
    array([0.25])
    """
    found = outcome.predictions
    if found is None:
        return no_value(weights)
    gap = np.abs(weighted_sum(found.gap, weights)).sum(axis=1)  # (b, n) x (n, bins)
    return ratio(gap, weighted_sum(found.n_cells, weights))


def auc(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Chance that a success (S at least .5) is predicted higher than a failure, over all cells; ties count half.

    Range [0, 1], higher is better, .5 is chance; NaN without a success or without a failure. Part of it is
    telling easy prompts from hard ones. Resamples are of first order: each success keeps its placement among all
    failures, each failure its own among all successes. Source: Obuchowski, Nonparametric analysis of clustered ROC
    curve data, Biometrics 1997.

    >>> auc(Outcome.of([[1, 0], [1, 0]], choice=[0, 0], predicted=[[0.9, 0.1], [0.5, 0.5]]))
    array([0.875])
    """
    found = outcome.predictions
    if found is None:
        return no_value(weights)
    n_failed = found.n_cells - found.n_solved
    if not n_failed.any() or not found.n_solved.any():
        return no_value(weights)
    over = ratio(weighted_sum(found.above, weights), weighted_sum(found.n_solved, weights))
    under = ratio(weighted_sum(found.below, weights), weighted_sum(n_failed, weights))
    return over + under - found.above.sum() / found.n_solved.sum()
