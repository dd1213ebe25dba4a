"""Estimators of the mean score that another policy, the target, would have had on logged prompts.

The weight of a logged choice is the probability that the target makes it, divided by its propensity, the probability
with which it was made when it was logged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recroute.util.numeric import Array, Positions

ESTIMATORS = {"ips": "IPS", "snips": "SNIPS", "dr": "doubly robust"}  # names in rows, and labels in tables
Z = 1.959963984540054  # quantile of the normal distribution for a two-sided 95% interval


@dataclass(frozen=True, eq=False)
class Estimate:
    """An estimated mean score, and the influence of each of n logged choices on it.

    Parameters
    ----------
    value : float
    influence : f64 (n,)
        Influence function at each logged choice, with mean 0. The standard error is its standard deviation divided by
        the square root of n. Subtracting the influences of two estimates on the same log gives a paired difference.
    """

    value: float
    influence: Array

    @property
    def standard_error(self) -> float:
        n = len(self.influence)
        return math.sqrt(float(np.square(self.influence).sum()) / max(n - 1, 1) / n)

    @property
    def interval(self) -> tuple[float, float]:
        """Asymptotic 95% interval."""
        reach = Z * self.standard_error
        return self.value - reach, self.value + reach

    def minus(self, other: Estimate) -> Estimate:
        """Paired difference to another estimate on the same log."""
        return Estimate(self.value - other.value, self.influence - other.influence)


def ips(weight: Array, score: Array) -> Estimate:
    """Inverse propensity scoring: the mean of weight times score. Unbiased, and not limited to [0, 1].

    Parameters
    ----------
    weight, score : f64 (n,)

    Examples
    --------
    Two LLMs, each logged with probability 1/2; the target agrees with the first choice only:

    >>> ips(np.array([2.0, 0.0]), np.array([0.5, 1.0])).value
    0.5

    Source: Horvitz and Thompson, Journal of the American Statistical Association 1952.
    """
    return _mean(weight * score)


def snips(weight: Array, score: Array) -> Estimate:
    """Self-normalised inverse propensity scoring: the weighted mean of the scores.

    It is slightly biased, and usually has less variance than `ips`. A constant added to every score is added to the
    estimate. NaN if every weight is 0.

    Parameters
    ----------
    weight, score : f64 (n,)

    Examples
    --------
    >>> snips(np.array([2.0, 1.0, 0.0]), np.array([0.5, 1.0, 1.0])).value  # (2 * .5 + 1 * 1) / 3
    0.6666666666666666

    Source: Swaminathan and Joachims, The self-normalized estimator for counterfactual learning, NIPS 2015.
    """
    total = float(weight.sum())
    if total == 0:
        return Estimate(float("nan"), np.full(len(weight), np.nan))
    value = float(weight @ score) / total
    return Estimate(value, weight * (score - value) * len(weight) / total)


def doubly_robust(weight: Array, score: Array, predicted: Array, expected: Array) -> Estimate:
    """Doubly robust estimate: the target's score as a model predicts it, plus the model's weighted errors.

    It is unbiased for any model that was fitted on other rows; the better the model, the smaller the variance. It is
    also unbiased if the propensities are wrong but the model is right.

    Parameters
    ----------
    weight, score : f64 (n,)
    predicted : f64 (n,)
        The model's prediction for the logged LLM.
    expected : f64 (n,)
        The mean of the model's predictions over the target's distribution of choices.

    Examples
    --------
    >>> weight, score = np.array([2.0, 0.0]), np.array([0.5, 1.0])
    >>> doubly_robust(weight, score, np.array([0.4, 0.9]), np.array([0.4, 0.6])).value  # (.4 + 2 * .1 + .6) / 2
    0.6

    Source: Dudik, Langford and Li, Doubly robust policy evaluation and learning, ICML 2011.
    """
    return _mean(expected + weight * (score - predicted))


def estimates(weight: Array, score: Array, taken: Positions, predicted: Array, chosen: Array) -> dict[str, Estimate]:
    """The estimates of all `ESTIMATORS`, by name.

    Parameters
    ----------
    weight, score : f64 (n,)
    taken : int (n,)
        Column of each logged LLM.
    predicted, chosen : f64 (n, m)
        Scores predicted by the reward model, and the target's choice probabilities.
    """
    of_taken = predicted[np.arange(len(taken)), taken]
    expected = (chosen * predicted).sum(axis=1)
    return {
        "ips": ips(weight, score),
        "snips": snips(weight, score),
        "dr": doubly_robust(weight, score, of_taken, expected),
    }


def _mean(terms: Array) -> Estimate:
    value = float(terms.mean())
    return Estimate(value, terms - value)
