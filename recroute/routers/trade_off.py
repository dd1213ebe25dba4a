"""Cost-quality curve of a router over the trade-off between score and cost, and the trade-off that meets a target."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recroute.errors import RouterError
from recroute.util.numeric import Array
from recroute.util.state import array

# Trade-offs in score per range of mean costs in the pool: from almost ignoring cost to minimising it.
GRID = np.concatenate([[0.0], np.logspace(-3, 3, 121)])
PROMPTS = 1000  # budgets and costs are stated per this many prompts


def cost_range(level: Array) -> float:
    """Range of the LLMs' mean costs f64 (m,); their value if all are equal, and 1 if all are 0."""
    return float(np.ptp(level)) or float(np.max(level)) or 1.0


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

    def within(self, budget: float) -> float:
        """Smallest trade-off whose choices cost at most `budget` per 1,000 prompts; RouterError if there is none."""
        enough = np.flatnonzero(self.cost * PROMPTS <= budget)
        if len(enough):
            return float(self.trade_off[enough[0]])
        least = _rounded_up(float(self.cost.min()) * PROMPTS)
        raise RouterError(
            f"a budget of {budget:g} {self.cost_unit} per 1,000 prompts is below the cheapest choice; "
            f"set at least {least:g}"
        )

    def reaching(self, share: float) -> float:
        """Cheapest trade-off that reaches `share` of the best single LLM's score; RouterError if there is none."""
        enough = np.flatnonzero(self.quality >= share * self.best_single - 1e-9)
        if len(enough):
            return float(self.trade_off[enough[np.argmin(self.cost[enough])]])
        raise RouterError(
            f"a quality of {share:g} of the best single LLM is more than the router reaches on training prompts; "
            f"set at most {math.floor(1000 * self.most) / 1000:g}"
        )

    def at(self, trade_off: float) -> tuple[float, float]:
        """Cost of 1,000 prompts and mean score at a trade-off, by linear interpolation."""
        cost, quality = (float(np.interp(trade_off, self.trade_off, y)) for y in (self.cost, self.quality))
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
