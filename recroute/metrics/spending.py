"""What a router's choices cost, and how its choices move when cost counts: per instance."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from recroute.util.numeric import Array


@dataclass(frozen=True, eq=False)
class Spending:
    """Choices of one router on n instances at p weights of cost against score, from "free" to "only cost counts".

    Parameters
    ----------
    cost : f64 (n,)
        USD of the LLM that the router's own choice is judged by, see `Outcome`; NaN where unknown.
    scores, costs : f64 (n, p)
        Score and cost of the LLM that the choice at each weight is judged by; NaN where unknown.
    dearest : f64 (n,)
        Cost of the LLM of the pool that cost most on train, or of the next that was evaluated. The cheapest is the last
        column of `costs`.
    """

    cost: Array
    scores: Array
    costs: Array
    dearest: Array

    def take(self, index: NDArray[np.integer]) -> Spending:
        """These instances only."""
        return Spending(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def hull(cost: Array, quality: Array) -> tuple[Array, Array]:
    """Least concave, non-decreasing curve above points f64 (b, p): costs in rising order and its height at each.

    Between two routers lies every mixture of them, which takes one or the other by chance; spending more than a
    router that is better is of no use.

    >>> hull(np.array([[3.0, 1.0, 2.0]]), np.array([[0.8, 0.4, 0.5]]))
    (array([[1., 2., 3.]]), array([[0.4, 0.6, 0.8]]))
    """
    order = np.argsort(cost, axis=1, kind="stable")
    x = np.take_along_axis(cost, order, axis=1)
    y = np.maximum.accumulate(np.take_along_axis(quality, order, axis=1), axis=1)
    height = y.copy()
    n_points = x.shape[1]
    for i in range(n_points):
        for j in range(i + 2, n_points):
            width = x[:, j] - x[:, i]
            slope = np.divide(y[:, j] - y[:, i], width, out=np.zeros(len(x)), where=width > 0)
            chord = y[:, [i]] + slope[:, None] * (x[:, i + 1 : j] - x[:, [i]])  # (b, j - i - 1)
            np.maximum(height[:, i + 1 : j], chord, out=height[:, i + 1 : j])
    return x, height
