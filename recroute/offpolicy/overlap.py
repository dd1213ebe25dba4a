"""How far the choices of a router overlap with those in a log: whether the log says enough about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.offpolicy.estimators import ips
from recroute.util.numeric import Array

# 95% intervals held the truth at an effective n of 37, 39, 61 and 108 in 78%, 88%, 93% and 88% of 200 simulated logs
# (snips; dr 93% to 96%), and from 237 to 804 in 94% to 96% of 400 (dr 92% to 96%).
MIN_EFFECTIVE_N, MAX_SHARE = 200, 0.05  # of the log, and of one choice in all weights
SIGMAS = 3.0  # standard errors by which the mean weight misses 1 before a warning
MAX_UNLOGGED = 0.01
OVERLAPS = ("effective_n", "largest_weight", "mean_weight", "never_logged")  # in the rows of a result


@dataclass(frozen=True)
class Overlap:
    """Overlap of n logged choices with one target, the router that is judged.

    Parameters
    ----------
    n : int
    effective_n : float
        `(sum w)^2 / sum w^2`: as many choices of the target itself carry the same information.
    largest_weight : float
        Share of the heaviest choice in all weights.
    mean_weight, mean_weight_error : float
        1 in expectation if every choice of the target can be logged; lower by the share that cannot.
    never_logged : float
        Share of the target's choices that are LLMs without a row in the log.
    """

    n: int
    effective_n: float
    largest_weight: float
    mean_weight: float
    mean_weight_error: float
    never_logged: float

    @classmethod
    def of(cls, weight: Array, target: Array, logged: NDArray[np.bool_]) -> Overlap:
        """From weights f64 (n,), the target's probabilities f64 (n, m), and which LLMs the log has, bool (m,)."""
        total, mean = float(weight.sum()), ips(weight, np.ones_like(weight))
        return cls(
            n=len(weight),
            effective_n=total**2 / float(weight @ weight) if total else 0.0,
            largest_weight=float(weight.max()) / total if total else 1.0,
            mean_weight=mean.value,
            mean_weight_error=mean.standard_error,
            never_logged=float(target[:, ~logged].sum()) / len(weight),
        )

    def warnings(self, label: str) -> list[str]:
        """Reasons to doubt the estimates of this target, a line each."""
        found = []
        if self.never_logged > 0:
            found.append(
                f"{label}: {self.never_logged:.1%} of its choices are LLMs that were never logged; ips counts them "
                "as 0, snips leaves them out, dr relies on the reward model alone"
            )
        missing = 1 - self.mean_weight - self.never_logged
        if missing > max(SIGMAS * self.mean_weight_error, MAX_UNLOGGED):
            found.append(
                f"{label}: about {missing:.0%} of its choices had no chance of being logged where it makes them "
                f"(mean weight {self.mean_weight:.2f}, not 1); estimates are biased: log with more exploration"
            )
        if self.mean_weight - 1 > SIGMAS * self.mean_weight_error:
            found.append(
                f"{label}: mean weight {self.mean_weight:.2f} is more than chance allows above 1; the propensities "
                "are smaller than the choices were likely: check how they were recorded"
            )
        if self.effective_n < MIN_EFFECTIVE_N or self.largest_weight > MAX_SHARE:
            found.append(
                f"{label}: thin overlap, {self.n} logged choices are worth {self.effective_n:.0f} of its own, "
                f"and one weighs {self.largest_weight:.1%}; intervals may be too narrow: log more, or explore more"
            )
        return found
