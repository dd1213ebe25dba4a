"""What the chosen LLMs scored, alone and against the pool's bounds and its best single LLM."""

from __future__ import annotations

import numpy as np

from recroute.metrics.outcome import Outcome
from recroute.util.numeric import Array, Weights, known_mean, ratio


def mean_score(outcome: Outcome, weights: Weights | None = None) -> Array:
    """RouterEval's mu: mean over j of S[j, c_j], c_j the highest-ranked LLM that was evaluated on instance j.

    Range [0, 1], higher is better. `unobserved_choice` tells how often c_j is not the first choice.

    >>> mean_score(Outcome.of([[1, 0], [0, 1], [0.5, 0]], choice=[0, 0, 0]))
    array([0.5])
    """
    return known_mean(outcome.chosen, weights)


def oracle(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Mean over j of max_l S[j, l]: the best any router can do with the pool. Range [0, 1].

    >>> oracle(Outcome.of([[1, 0], [0, 1]], choice=[0, 0]))
    array([1.])
    """
    return known_mean(outcome.best, weights)


def random(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Mean over j of the mean over l of the observed S[j, l]: a uniform choice, in expectation. Range [0, 1].

    >>> random(Outcome.of([[1, 0], [0, 1]], choice=[0, 0]))
    array([0.5])
    """
    return known_mean(outcome.average, weights)


def best_single_ratio(outcome: Outcome, weights: Weights | None = None) -> Array:
    """RouterEval's V_B: mu / mean score of the best single LLM on test, which is known only in hindsight.

    Range [0, inf), higher is better, above 1 the router beats every single LLM of the pool. Where LLMs were
    evaluated on different instances the best one is that with the highest `llm_means` on test. It is judged as every
    router is, on the same instances: where it was not evaluated, by the next in the order of these means that was.
    (Not the order that scores highest so: one that begins with an LLM that was run on a single task tells the tasks
    apart by their gaps.) A resample keeps the order.

    >>> best_single_ratio(Outcome.of([[1, 0], [1, 1], [0, 1], [1, 0]], choice=[0, 0, 1, 0])).round(3)
    array([1.333])
    """
    return _ratio(mean_score(outcome, weights), known_mean(outcome.best_single, weights))


def reference_ratio(outcome: Outcome, weights: Weights | None = None) -> Array:
    """RouterEval's V_R: mu / the reference LLM's score. Range [0, inf), higher is better; NaN without one.

    Both are over the instances that have a reference score.

    >>> reference_ratio(Outcome.of([[1, 0], [0, 1]], choice=[0, 1], reference=0.8))
    array([1.25])
    """
    both = np.where(np.isnan(outcome.reference), np.nan, outcome.chosen)
    return _ratio(known_mean(both, weights), known_mean(np.where(np.isnan(both), np.nan, outcome.reference), weights))


def lift(outcome: Outcome, weights: Weights | None = None) -> Array:
    """mu less the mean score on test of the LLM that was best on train: the gain over what one would deploy.

    Range [-1, 1], higher is better, 0 is `best_single`. That LLM is judged as the router is, see `best_single_ratio`.

    >>> lift(Outcome.of([[1, 0], [0, 1], [1, 1], [1, 0]], choice=[0, 1, 0, 0], train_best=0))
    array([0.25])
    """
    return mean_score(outcome, weights) - known_mean(outcome.train_best, weights)


def effective_p(outcome: Outcome, weights: Weights | None = None) -> Array:
    """The p at which r_o(p) has the same mu: (mu - random) / (oracle - random).

    Range (-inf, 1], higher is better: 0 is chance, 1 the oracle; NaN where all LLMs of the pool score alike.

    >>> effective_p(Outcome.of([[1, 0], [0, 1], [1, 0], [0, 1]], choice=[0, 1, 0, 0]))
    array([0.5])
    """
    chance = random(outcome, weights)
    return _ratio(mean_score(outcome, weights) - chance, oracle(outcome, weights) - chance)


def regret(outcome: Outcome, weights: Weights | None = None) -> Array:
    """oracle - mu. Range [0, 1], lower is better.

    >>> regret(Outcome.of([[1, 0], [0, 1]], choice=[0, 0]))
    array([0.5])
    """
    return oracle(outcome, weights) - mean_score(outcome, weights)


def any_best(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Share of instances whose choice, judged as in `mean_score`, attains the instance's maximum; ties count.

    Range [0, 1], higher is better. 1 is the oracle.

    >>> any_best(Outcome.of([[1, 0], [0, 1], [0, 0]], choice=[0, 0, 0])).round(3)
    array([0.667])
    """
    return known_mean(np.where(outcome.judged, outcome.chosen >= outcome.best, np.nan), weights)


def unobserved_choice(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Share of instances whose chosen LLM was never evaluated on them. Range [0, 1]; 0 on complete data.

    Such a choice is judged by the next LLM of the ranking that was. It is neither counted as 0 nor left out.

    >>> unobserved_choice(Outcome.of([[1, float("nan")], [0, 1]], choice=[1, 1], judged_by=[0, 1]))
    array([0.5])
    """
    return known_mean(outcome.unobserved, weights)


def _ratio(above: Array, below: Array) -> Array:
    """NaN where `below` is 0 up to rounding."""
    return ratio(above, np.where(below > 1e-12, below, 0))
