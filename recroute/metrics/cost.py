"""Cost metrics: cost of the choices, and cost-quality curves of routers that trade score for cost."""

from __future__ import annotations

import numpy as np

from recroute.metrics.outcome import Outcome, Spending, no_value
from recroute.util.numeric import Array, Weights, known_mean, ratio

PERCENTS = (95, 100)  # of the best single LLM's score


def mean_cost(outcome: Outcome, weights: Weights | None = None) -> Array:
    """Mean cost of the chosen answers (in USD) over the choices whose cost is known. Range [0, inf), lower is better.

    >>> spent = Spending(cost=np.array([0.1, 0.3]), scores=np.ones((2, 1)), costs=np.ones((2, 1)), dearest=np.ones(2))
    >>> mean_cost(Outcome.of([[1, 0], [0, 1]], choice=[0, 1], spending=spent))
    array([0.2])
    """
    return no_value(weights) if outcome.spending is None else known_mean(outcome.spending.cost, weights)


def cost_at_quality(outcome: Outcome, weights: Weights | None = None, *, percent: int = 100) -> Array:
    """Smallest mean cost (in USD) at which the router's curve reaches `percent` of the best single LLM's test score.

    The curve is the `hull` of the router's choices at increasing weights of cost; costs are predicted for each prompt
    by a model of the training data. Range [0, inf), lower is better; NaN if the curve does not reach that score. The
    interval is over the resamples in which it does.

    >>> one = np.ones(2)
    >>> spent = Spending(cost=one, scores=np.array([[1, 0.5], [1, 0.5]]), costs=np.array([[4, 2], [4, 2]]), dearest=one)
    >>> cost_at_quality(Outcome.of([[0.75, 1], [0.75, 0]], choice=[0, 1], spending=spent))
    array([3.])
    """
    if outcome.spending is None:
        return no_value(weights)
    x, y = _curve(outcome.spending, weights)
    return least_cost(x, y, percent / 100 * known_mean(outcome.best_single, weights))


def hull(cost: Array, quality: Array) -> tuple[Array, Array]:
    """Smallest concave, non-decreasing curve above points f64 (b, p): costs in ascending order and its height at each.

    Concave, because a random mixture of two routers lies on the line between them; non-decreasing, because a router
    that costs more and scores less is never useful.

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
            slope = ratio(y[:, j] - y[:, i], width, otherwise=0)
            chord = y[:, [i]] + slope[:, None] * (x[:, i + 1 : j] - x[:, [i]])  # (b, j - i - 1)
            np.maximum(height[:, i + 1 : j], chord, out=height[:, i + 1 : j])
    return x, height


def least_cost(x: Array, y: Array, target: Array) -> Array:
    """Smallest cost f64 (b,) at which curves of `hull` (costs x and heights y f64 (b, p)) reach f64 (b,), or NaN.

    >>> least_cost(np.array([[1.0, 3.0]]), np.array([[0.4, 0.8]]), np.array([0.5]))
    array([1.5])
    """
    reached = y >= target[:, None] - 1e-12
    k = reached.argmax(axis=1)
    row, before = np.arange(len(x)), np.maximum(k - 1, 0)
    rise = y[row, k] - y[row, before]
    part = ratio(target - y[row, before], rise, otherwise=1)
    between = x[row, before] + part.clip(0, 1) * (x[row, k] - x[row, before])
    return np.where(reached.any(axis=1), np.where(k == 0, x[:, 0], between), np.nan)


def aiq(outcome: Outcome, weights: Weights | None = None) -> Array:
    """RouterBench's average improvement in quality: area under the hull of the curve / range of costs.

    The range is the same for all routers: from the mean cost of the LLM that was cheapest in training to that of the
    most expensive one. Beyond its own most expensive point the curve is flat. Range [0, 1], higher is better. Source:
    Hu et al., RouterBench, arXiv 2403.12031.

    >>> spent = Spending(np.ones(1), np.array([[0.8, 0.4]]), costs=np.array([[3.0, 1.0]]), dearest=np.array([5.0]))
    >>> aiq(Outcome.of([[1, 0]], choice=[0], spending=spent)).round(3)  # (2 * .6 + 2 * .8) / 4
    array([0.7])
    """
    if outcome.spending is None:
        return no_value(weights)
    x, y = _curve(outcome.spending, weights)
    low = known_mean(outcome.spending.costs[:, -1], weights)
    return mean_height(x, y, low, known_mean(outcome.spending.dearest, weights))


def mean_height(x: Array, y: Array, low: Array, high: Array) -> Array:
    """Area under curves of `hull`, x and y f64 (b, p), from cost `low` to `high` f64 (b,), over the width: f64 (b,).

    >>> mean_height(np.array([[1.0, 3.0]]), np.array([[0.4, 0.8]]), np.array([1.0]), np.array([5.0])).round(3)
    array([0.7])
    """
    low, high = low[:, None], high[:, None]
    # like np.interp for many curves: clip every segment to the range, and extend the last height to its end
    x = np.concatenate([np.minimum(x[:, :1], low), x, np.maximum(x[:, -1:], high)], axis=1)
    y = np.concatenate([y[:, :1], y, y[:, -1:]], axis=1)
    width = np.diff(x, axis=1)
    slope = ratio(np.diff(y, axis=1), width, otherwise=0)
    left, right = np.clip(x[:, :-1], low, high), np.clip(x[:, 1:], low, high)
    middle = y[:, :-1] + slope * ((left + right) / 2 - x[:, :-1])
    area = (middle * (right - left)).sum(axis=1)
    span = (high - low)[:, 0]
    return ratio(area, span)


def _curve(spending: Spending, weights: Weights | None) -> tuple[Array, Array]:
    return hull(known_mean(spending.costs, weights), known_mean(spending.scores, weights))
