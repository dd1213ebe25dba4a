"""Cost-quality curve of a router over the trade-off between score and cost, and the mixture that meets a target."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from recroute.data import Prompts
from recroute.errors import RouterError
from recroute.metrics.cost import hull
from recroute.routers.random import uniform_noise
from recroute.util.numeric import Array, Floats, Index
from recroute.util.state import array

N_TRADE_OFFS = 200  # at most, in a curve
PROMPTS = 1000  # budgets and costs are stated per this many prompts


def cost_range(level: Array) -> float:
    """Range of the LLMs' mean costs f64 (m,); their value if all are equal, and 1 if all are 0."""
    return float(np.ptp(level)) or float(np.max(level)) or 1.0


def trade_offs(predicted: Floats, cost: Floats, n_trade_offs: int = N_TRADE_OFFS) -> Array:
    """Trade-offs that spread the mean cost of the choices, in even steps of its logarithm; ascending, the first is 0.

    They lie between those where the choice of a prompt changes. If the predicted scores of all prompts are alike, all
    choices change within a narrow range of trade-offs, which a fixed grid would step over.

    Parameters
    ----------
    predicted : f32 (n, m)
        Predicted scores, NaN for an LLM that must not be chosen; every row has another value.
    cost : f32 (n, m)
        Predicted costs.
    n_trade_offs : int
        Largest number to return.

    Examples
    --------
    >>> trade_offs(np.array([[0.5, 0.9], [0.5, 0.6]]), np.array([[1.0, 2.0], [1.0, 2.0]])).round(2)
    array([0.  , 0.25, 0.6 ])
    """
    changes, saved, start = _choice_changes(predicted, cost)
    if not len(changes):
        return np.zeros(1)
    order = np.argsort(changes, kind="stable")
    changes = changes[order]
    left = start - np.cumsum(saved[order])  # cost of all choices after each change
    levels = np.geomspace(start, max(left[-1], start * 1e-4), n_trade_offs)[1:]
    index = np.minimum(np.searchsorted(-left, -levels), len(changes) - 1)  # first change that reaches each level
    after = np.searchsorted(changes, changes[index], side="right")
    upper = np.append(changes, 2 * changes[-1])[after]
    return np.unique(np.append((changes[index] + upper) / 2, 0.0))


def _choice_changes(predicted: Floats, cost: Floats) -> tuple[Array, Array, float]:
    """Trade-offs f64 (c,) where the choice of a prompt changes, the costs saved there f64 (c,), and the cost before.

    Parameters are those of `trade_offs`. For each prompt these are the corners of the upper envelope of the lines
    `predicted - trade_off * cost`.
    """
    predicted, cost = np.where(np.isnan(predicted), -np.inf, predicted.astype(np.float64)), cost.astype(np.float64)
    best = predicted.max(axis=1, keepdims=True)
    chosen = np.where(predicted == best, cost, np.inf).argmin(axis=1)
    rows = np.arange(len(chosen))
    start = float(cost[rows, chosen].sum())
    changes, saved = [np.empty(0)], [np.empty(0)]
    while len(rows):
        gain = cost[rows, chosen][:, None] - cost[rows]  # (b, m), saved by each LLM
        loss = predicted[rows, chosen][:, None] - predicted[rows]
        at = np.divide(loss, gain, out=np.full(gain.shape, np.inf), where=gain > 0)
        following = at.argmin(axis=1)
        each = np.arange(len(rows))
        more = np.isfinite(at[each, following])
        changes.append(at[each, following][more])
        saved.append(gain[each, following][more])
        rows, chosen = rows[more], following[more]
    return np.concatenate(changes), np.concatenate(saved), start


class Mixture(NamedTuple):
    """Two trade-offs: a share of the prompts gets the first, the others the second.

    Which one a prompt gets is drawn by a hash of it, so the same prompt always gets the same.
    """

    first: float
    second: float
    share: float

    def of(self, prompts: Prompts, seed: int = 0) -> Array:
        """Trade-off of each prompt f64 (n, 1)."""
        if self.share >= 1:
            return np.full((prompts.n, 1), self.first)
        return np.where(uniform_noise(seed, prompts, ["trade-off"]) < self.share, self.first, self.second)


@dataclass(frozen=True, eq=False)
class Curve:
    """Mean cost and mean score of a router's choices at each trade-off.

    Parameters
    ----------
    curve : f64 (3, g)
        Rows: trade-off (score per unit of cost, ascending), mean cost per prompt, mean score.
    best_single : float
        Mean score of the best single LLM on the same prompts.
    cost_unit : str

    Raises
    ------
    RouterError
        If the trade-offs are not in ascending order.
    """

    curve: Array = array("3", "n_trade_offs", low=0)
    best_single: float = array(low=0)
    cost_unit: str = array(kind="text")

    def __post_init__(self) -> None:
        if (np.diff(self.trade_off) < 0).any():
            raise RouterError("the trade-offs of the cost curve are not in ascending order")

    @property
    def trade_off(self) -> Array:
        return self.curve[0]

    @property
    def cost(self) -> Array:
        return self.curve[1]

    @property
    def quality(self) -> Array:
        return self.curve[2]

    @property
    def most(self) -> float:
        """Highest score of any trade-off, as a share of the best single LLM's score."""
        return float(self.quality.max()) / max(self.best_single, 1e-12)

    def within(self, budget: float) -> Mixture:
        """The trade-offs with the highest score that together cost `budget` per 1,000 prompts, or less if that is best.

        RouterError if no trade-off is within the budget.
        """
        cost, corners = self._corners
        if budget >= PROMPTS * cost[0]:
            return self._mixture(corners, float(np.interp(budget / PROMPTS, cost, np.arange(len(cost)))))
        raise RouterError(
            f"a budget of {budget:g} {self.cost_unit} per 1,000 prompts is below the cheapest choice; "
            f"set at least {_rounded_up(PROMPTS * float(cost[0])):g}"
        )

    def reaching(self, share: float) -> Mixture:
        """The cheapest trade-offs that reach `share` of the best single LLM's score; RouterError if none do."""
        _, corners = self._corners
        target = share * self.best_single
        if target <= self.quality.max() + 1e-9:
            return self._mixture(corners, float(np.interp(target, self.quality[corners], np.arange(len(corners)))))
        raise RouterError(
            f"a quality of {share:g} of the best single LLM is more than the router reaches on training prompts; "
            f"set at most {math.floor(1000 * self.most) / 1000:g}"
        )

    @cached_property  # a service meets budgets of single requests
    def _corners(self) -> tuple[Array, Index]:
        """Costs f64 (h,) of the corners of the curve's hull, ascending as their scores are, and their positions."""
        order = np.lexsort((-self.quality, self.cost))
        cost, height = (line[0] for line in hull(self.cost[None, order], self.quality[None, order]))
        rises = np.append(True, height[1:] > height[:-1] + 1e-12)  # and is not reached at a lower cost
        kept = np.flatnonzero(rises & (self.quality[order] >= height - 1e-12))
        return cost[kept], order[kept]

    def _mixture(self, corners: Index, at: float) -> Mixture:
        """The corner at position `at`, or the mixture of the two that it lies between."""
        first = min(int(at), len(corners) - 1)
        second = min(first + 1, len(corners) - 1)
        a, b = (float(self.trade_off[corners[one]]) for one in (first, second))
        return Mixture(a, b, 1 - (at - first)) if at > first else Mixture(a, a, 1.0)

    def at(self, mixture: Mixture) -> tuple[float, float]:
        """Cost of 1,000 prompts and mean score; between trade-offs of the curve by linear interpolation."""
        ends, shares = mixture[:2], np.array([mixture.share, 1 - mixture.share])
        cost, quality = (float(shares @ np.interp(ends, self.trade_off, y)) for y in (self.cost, self.quality))
        return PROMPTS * cost, quality


def _rounded_up(value: float) -> float:
    """Round up to four significant digits.

    >>> _rounded_up(0.0123412)
    0.01235
    """
    if value <= 0:
        return value
    step = 10.0 ** (math.floor(math.log10(value)) - 3)
    return round(math.ceil(value / step) * step, 12)
