"""`Observed`: the observed scores of a pool, and what all routers are compared with on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recroute.util.numeric import Array

RANKS = (3, 10)
SOLVED = 0.5  # smallest score that `auc` counts as a success


@dataclass(frozen=True, eq=False)
class Observed:
    """Observed scores of m LLMs on n instances. What follows from them alone is computed once for all routers.

    Parameters
    ----------
    scores : float (n, m)
        NaN where unobserved.
    """

    scores: NDArray[np.floating]

    @classmethod
    def of(cls, scores: ArrayLike | Observed) -> Observed:
        """Scores f32 or f64 as they are, others as f64."""
        if isinstance(scores, Observed):
            return scores
        table = np.asarray(scores)
        return cls(table if table.dtype in (np.float32, np.float64) else table.astype(np.float64))

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Whether a cell was observed, bool (n, m)."""
        return ~np.isnan(self.scores)

    @cached_property
    def n_cells(self) -> Array:
        """Observed cells of each instance, f64 (n,)."""
        return self.seen.sum(axis=1, dtype=np.float64)

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Whether the instance has an observed score, bool (n,)."""
        return self.n_cells > 0

    @cached_property
    def gains(self) -> NDArray[np.floating]:
        """Scores (n, m), 0 where unobserved."""
        return np.where(self.seen, self.scores, self.scores.dtype.type(0))

    @cached_property
    def best(self) -> Array:
        """Highest observed score of each instance, f64 (n,); NaN if there is none."""
        highest = self.gains.max(axis=1).astype(np.float64)  # no score is below 0
        return np.where(self.judged, highest, np.nan)

    @cached_property
    def average(self) -> Array:
        """Mean observed score of each instance, f64 (n,); NaN if there is none."""
        total = self.gains.sum(axis=1, dtype=np.float64)
        return np.where(self.judged, total / np.maximum(self.n_cells, 1), np.nan)

    @cached_property
    def n_solved(self) -> Array:
        """Observed cells of each instance that are successes, f64 (n,)."""
        return (self.seen & (self.gains >= SOLVED)).sum(axis=1, dtype=np.float64)

    @cached_property
    def is_best(self) -> NDArray[np.bool_]:
        """Whether a cell was observed and attains the highest score of its instance, bool (n, m)."""
        return self.seen & (self.gains == self.gains.max(axis=1, keepdims=True))

    @cached_property
    def first_gains(self) -> Array:
        """The highest scores of each instance in falling order, f64 (n, k), as many as the largest rank needs."""
        width = min(max(RANKS), self.scores.shape[1])
        highest = np.partition(-self.gains, width - 1, axis=1)[:, :width]
        return -np.sort(highest, axis=1).astype(np.float64)

    @cached_property
    def tags(self) -> NDArray[np.uint32]:
        """Twice its row, plus 1 if it is a success, of every observed cell, uint32 (c,)."""
        row = np.arange(len(self.scores), dtype=np.uint32)[:, None] << np.uint32(1)
        return (row | (self.gains >= SOLVED))[self.seen].astype(np.uint32)
