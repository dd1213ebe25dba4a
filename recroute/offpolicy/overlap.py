"""Overlap of a router's choices with those in a log, which says whether the log can judge it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.offpolicy.estimators import ips
from recroute.util.numeric import Array

# Coverage of the 95% intervals: at an effective n of 37, 39, 61 and 108, snips covered the true mean in 78%, 88%, 93%
# and 88% of 200 simulated logs (dr in 93% to 96%); at 237 to 804 in 94% to 96% of 400 logs (dr in 92% to 96%).
MIN_EFFECTIVE_N = 200
MAX_SHARE = 0.05  # of one choice in the sum of all weights
SIGMAS = 3.0  # standard errors between the mean weight and 1 before a warning
MAX_UNLOGGED = 0.01  # share of choices that could not have been logged
OVERLAPS = ("effective_n", "largest_weight", "mean_weight", "never_logged")  # metrics in the rows of a result


@dataclass(frozen=True)
class Overlap:
    """Overlap of n logged choices with the target, the router that is judged.

    Parameters
    ----------
    n : int
    effective_n : float
        Effective sample size `(sum w)^2 / sum w^2`: as many choices made by the target itself would carry the same
        information.
    largest_weight : float
        Largest weight as a share of their sum.
    mean_weight, mean_weight_error : float
        Mean weight and its standard error. It is 1 in expectation if every choice of the target could have been
        logged, and lower by the share that could not.
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
        """Compute it from weights f64 (n,), the target's probabilities f64 (n, m) and logged LLMs, bool (m,)."""
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
        """Reasons to doubt the estimates for this target, one line each."""
        lines = []
        if self.never_logged > 0:
            lines.append(
                f"{label}: {self.never_logged:.1%} of its choices are LLMs that were never logged; ips counts them "
                "as 0, snips leaves them out, and dr relies on the reward model alone"
            )
        missing = 1 - self.mean_weight - self.never_logged
        if missing > max(SIGMAS * self.mean_weight_error, MAX_UNLOGGED):
            lines.append(
                f"{label}: about {missing:.0%} of its choices could not have been logged where it makes them "
                f"(mean weight {self.mean_weight:.2f}, not 1); estimates are biased: log with more exploration"
            )
        if self.mean_weight - 1 > SIGMAS * self.mean_weight_error:
            lines.append(
                f"{label}: its mean weight {self.mean_weight:.2f} is further above 1 than chance explains; the "
                "recorded propensities are too small: check how they were recorded"
            )
        if self.effective_n < MIN_EFFECTIVE_N or self.largest_weight > MAX_SHARE:
            lines.append(
                f"{label}: little overlap: the {self.n} logged choices are worth {self.effective_n:.0f} of its own, "
                f"and one has {self.largest_weight:.1%} of all weight; intervals may be too narrow: log or explore more"
            )
        return lines
