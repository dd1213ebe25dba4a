"""The probabilities with which a fitted router chooses each LLM."""

from __future__ import annotations

import numpy as np

from recroute.data import Dataset
from recroute.errors import RouterError
from recroute.routers import Router
from recroute.util.numeric import Array


def choice_probabilities(
    router: Router, instances: Dataset, *, epsilon: float = 0.0, temperature: float = 0.0
) -> Array:
    """Probability of each LLM for each instance.

    By default, the router chooses its best LLM. With a temperature, it draws from the `distribution` of its predicted
    scores divided by the temperature; a temperature of 1 gives its own distribution. With probability epsilon, it
    draws uniformly instead. A router that chooses at random, such as `random`, draws from its distribution anyway.

    Parameters
    ----------
    router : Router
        Fitted.
    instances : Dataset
    epsilon : float in [0, 1]
    temperature : float, at least 0

    Returns
    -------
    f64 (n, m); each row sums to 1, and columns are in the order of the router's LLMs.

    Raises
    ------
    RouterError
        If epsilon or temperature is outside its range, or the router reads the scores of the test instances.
    """
    if not 0 <= epsilon <= 1:
        raise RouterError(f"epsilon {epsilon:g} is outside [0, 1]; it is the share of uniform choices")
    if not 0 <= temperature < np.inf:
        raise RouterError(f"temperature {temperature:g} is not at least 0; with 0 the best LLM is always chosen")
    if router.needs == "scores":
        raise RouterError(f"{router.label} reads the scores of every LLM, which logs do not have; name another router")
    predicted = router.score(instances)
    m = predicted.shape[1]
    by_chance = router.chooses_by_chance
    if by_chance or temperature > 0:
        greedy = router.distribution(predicted if by_chance else predicted / np.float32(temperature))
    else:
        greedy = np.eye(m)[router.choose(predicted, np.arange(m))[:, 0]]
    return (1 - epsilon) * greedy + epsilon / m
