"""Calibration: predicted scores P compared with observed scores S, over the observed cells.

All LLMs of the pool count, chosen or not. A router whose predictions are not on the scale of scores (`bpr`) may rank
well and be badly calibrated.
"""

from __future__ import annotations

import numpy as np

from recroute.metrics.outcome import Outcome, no_value, weighted_sum
from recroute.util.numeric import Array, Weights, ratio


def brier(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Mean of (P - S)^2. Range [0, 1] for predictions in [0, 1], lower is better.

    >>> brier(Outcome.of([[1, 0]], choice=[0], predicted=[[0.8, 0.4]]))
    array([0.1])
    """
    predictions = outcome.predictions
    if predictions is None:
        return no_value(weights)
    return ratio(weighted_sum(predictions.squared_error, weights), weighted_sum(predictions.n_cells, weights))


def ece(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Expected calibration error: sum over 15 equal bins of P of |sum of P - S in the bin| / cells.

    Range [0, 1] for predictions in [0, 1], lower is better. Resampling adds noise to every bin, so the interval is
    biased upwards. Source: Naeini et al., Obtaining well calibrated probabilities using Bayesian binning, AAAI 2015.

    >>> ece(Outcome.of([[1, 0], [1, 1]], choice=[0, 0], predicted=[[0.9, 0.1], [0.9, 0.1]])).round(3)
    array([0.25])
    """
    predictions = outcome.predictions
    if predictions is None:
        return no_value(weights)
    gap = np.abs(weighted_sum(predictions.gap, weights)).sum(axis=1)  # (b, n) x (n, bins)
    return ratio(gap, weighted_sum(predictions.n_cells, weights))


def auc(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Probability that a success (S at least .5) is predicted higher than a failure, over all cells; ties count half.

    Range [0, 1], higher is better, .5 is chance; NaN without a success or without a failure. Distinguishing easy from
    hard prompts contributes to it. Resamples are first-order approximations: each success keeps its placement among
    all failures, and each failure among all successes. Source: Obuchowski, Nonparametric analysis of clustered ROC
    curve data, Biometrics 1997.

    >>> auc(Outcome.of([[1, 0], [1, 0]], choice=[0, 0], predicted=[[0.9, 0.1], [0.5, 0.5]]))
    array([0.875])
    """
    predictions = outcome.predictions
    if predictions is None:
        return no_value(weights)
    n_failed = predictions.n_cells - predictions.n_solved
    if not n_failed.any() or not predictions.n_solved.any():
        return no_value(weights)
    over = ratio(weighted_sum(predictions.above, weights), weighted_sum(predictions.n_solved, weights))
    under = ratio(weighted_sum(predictions.below, weights), weighted_sum(n_failed, weights))
    return over + under - predictions.above.sum() / predictions.n_solved.sum()
