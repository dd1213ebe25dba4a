"""What a router's predictions came to in battles, per instance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recroute.util.numeric import Array


@dataclass(frozen=True, eq=False)
class Agreement:
    """How a router's predictions agree with the battles on n instances.

    Parameters
    ----------
    n_decided : f64 (n,)
        Battles that were no tie.
    n_agreed : f64 (n,)
        Those of them whose winner the router predicts higher; half of those it predicts equal.
    """

    n_decided: Array
    n_agreed: Array

    def take(self, index: NDArray[np.integer]) -> Agreement:
        """These instances only."""
        return Agreement(self.n_decided[index], self.n_agreed[index])

    @classmethod
    def of(
        cls, predicted: ArrayLike, row: ArrayLike, llm_a: ArrayLike, llm_b: ArrayLike, outcome: ArrayLike
    ) -> Agreement:
        """From predicted scores float (n, m) and p battles: their rows and columns int (p,) and outcomes float (p,)."""
        table, at = np.asarray(predicted), np.asarray(row)
        won = np.sign(np.asarray(outcome, dtype=np.float64) - 0.5)
        ahead = np.sign(table[at, np.asarray(llm_a)] - table[at, np.asarray(llm_b)]).astype(np.float64)
        decided = won != 0
        agreed = (1 + won * ahead) / 2 * decided
        n = len(table)
        return cls(np.bincount(at, decided, n).astype(np.float64), np.bincount(at, agreed, n).astype(np.float64))
