"""How much score to give up per unit of cost: the curve of what each rate costs and scores, and its solution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recroute.errors import RouterError
from recroute.util.numeric import Array
from recroute.util.state import array

# Trade-offs in units of score over the pool's range of mean cost: from costs that hardly matter to pennies that do.
GRID = np.concatenate([[0.0], np.logspace(-3, 3, 121)])
PROMPTS = 1000  # budgets and costs are shown for so many


def cost_range(level: Array) -> float:
    """The range of the LLMs' mean costs f64 (m,), or their size where they are equal: never 0."""
    return float(np.ptp(level)) or float(np.max(level)) or 1.0


@dataclass(frozen=True, eq=False)
class Curve:
    """Mean cost and mean score of a router's choices at each trade-off, by rising trade-off.

    Parameters
    ----------
    curve : f64 (3, g)
        Trade-off (score per unit of cost), cost of a prompt, and score.
    best_single : float
        Mean score of the best single LLM on the same prompts.
    cost_unit : str

    Raises RouterError unless the trade-offs rise.
    """

    curve: Array = array("3", "n_trade_offs", low=0)
    best_single: float = array(low=0)
    cost_unit: str = array(kind="text")

    def __post_init__(self) -> None:
        if (np.diff(self.trade_off) < 0).any():
            raise RouterError("the curve is not in the order of its trade-offs")

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
        """The highest share of the best single LLM's score that any trade-off reaches."""
        return float(self.quality.max()) / max(self.best_single, 1e-12)

    def within(self, budget: float) -> float:
        """The least trade-off whose choices cost at most `budget` for 1,000 prompts; RouterError if there is none."""
        enough = np.flatnonzero(self.cost * PROMPTS <= budget)
        if len(enough):
            return float(self.trade_off[enough[0]])
        least = _rounded_up(float(self.cost.min()) * PROMPTS)
        raise RouterError(
            f"a budget of {budget:g} {self.cost_unit} per 1,000 prompts is below the cheapest choice; "
            f"the least that can be had is {least:g}: ask for that or more"
        )

    def reaching(self, share: float) -> float:
        """The cheapest trade-off whose choices score `share` of the best single LLM; RouterError if there is none."""
        enough = np.flatnonzero(self.quality >= share * self.best_single - 1e-9)
        if len(enough):
            return float(self.trade_off[enough[np.argmin(self.cost[enough])]])
        raise RouterError(
            f"a quality of {share:g} of the best single LLM's is more than the router reaches on training prompts; "
            f"the most is {math.floor(1000 * self.most) / 1000:g}: ask for that or less"
        )

    def at(self, trade_off: float) -> tuple[float, float]:
        """Cost of 1,000 prompts and mean score at a trade-off, between the points by interpolation."""
        cost, quality = (float(np.interp(trade_off, self.trade_off, y)) for y in (self.cost, self.quality))
        return PROMPTS * cost, quality


def _rounded_up(value: float) -> float:
    """With four digits, and no less.

    >>> _rounded_up(0.0123412)
    0.01235
    """
    if value <= 0:
        return value
    step = 10.0 ** (math.floor(math.log10(value)) - 3)
    return round(math.ceil(value / step) * step, 12)
