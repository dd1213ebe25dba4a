"""Estimators of the mean score that another policy would have had on logged choices: arrays in, estimates out.

The weight of a logged choice is the probability that the target makes it, divided by the probability with which it was
logged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recroute.util.numeric import Array, Positions

ESTIMATORS = {"ips": "IPS", "snips": "SNIPS", "dr": "doubly robust"}  # by the names that tables give them
Z = 1.959963984540054  # of a two-sided 95% interval


@dataclass(frozen=True, eq=False)
class Estimate:
    """A mean score and the influence of each of n logged choices on it.

    Parameters
    ----------
    value : float
    influence : f64 (n,)
        Of mean 0; the standard error is their standard deviation over the root of n. Those of two estimates on the
        same log may be subtracted: the difference is paired.
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
        """The paired difference of two estimates on the same log."""
        return Estimate(self.value - other.value, self.influence - other.influence)


def ips(weight: Array, score: Array) -> Estimate:
    """Inverse propensity score: the mean of weight times score. Unbiased; not held to [0, 1].

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
    """Self-normalised: the mean of the scores, weighted. Slightly biased, mostly of less variance than `ips`.

    A constant added to every score is added to the estimate. NaN where every weight is 0.

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
    """The model's expected score of the target, plus the model's weighted errors on the logged choices.

    Unbiased for any model that was fitted on other rows; the better the model, the smaller the variance. Also right if
    the propensities are wrong and the model is right.

    Parameters
    ----------
    weight, score : f64 (n,)
    predicted : f64 (n,)
        By the model, of the logged LLM.
    expected : f64 (n,)
        By the model, of the target's choice: the mean over its distribution.

    Examples
    --------
    >>> weight, score = np.array([2.0, 0.0]), np.array([0.5, 1.0])
    >>> doubly_robust(weight, score, np.array([0.4, 0.9]), np.array([0.4, 0.6])).value  # (.4 + 2 * .1 + .6) / 2
    0.6

    Source: Dudik, Langford and Li, Doubly robust policy evaluation and learning, ICML 2011.
    """
    return _mean(expected + weight * (score - predicted))


def estimates(weight: Array, score: Array, taken: Positions, predicted: Array, chosen: Array) -> dict[str, Estimate]:
    """All three, by name.

    Parameters
    ----------
    weight, score : f64 (n,)
    taken : int (n,)
        Column of each logged LLM.
    predicted, chosen : f64 (n, m)
        Scores by the reward model, and the target's probabilities.
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
