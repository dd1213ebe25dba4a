"""Sufficient statistics of feedback: sums per LLM, so one refresh or several give the same result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recroute.util.numeric import Array
from recroute.util.state import array

if TYPE_CHECKING:
    from recroute.routers.memory.new_llms import NewLLMs


@dataclass(frozen=True, eq=False)
class Sums:
    """Sufficient statistics of weighted least squares for m LLMs and q prompt features, the first of which is 1.

    Parameters
    ----------
    gram : f64 (m, q, q)
        Gram matrix of the features of the prompts that each LLM answered.
    moment : f64 (m, q)
        Products of features and residuals (observed minus predicted scores).
    square : f64 (m,)
        Sum of squared residuals.
    count : int64 (m,)
        Number of answers.
    pairs : int32 (p, 2)
        Pairs of LLMs with battles, lower position first, each pair once.
    pair_sums : f64 (p, 4)
        Number of battles of each pair, sum of weights, weighted sum of residuals, weighted sum of squared residuals.
    """

    gram: Array = array("n_llms", "n_dims?+1", "n_dims?+1")
    moment: Array = array("n_llms", "n_dims?+1")
    square: Array = array("n_llms", low=0)
    count: NDArray[np.int64] = array("n_llms", kind="int", low=0)
    pairs: NDArray[np.int32] = array("n_pairs?", "2", kind="int", below="n_llms")
    pair_sums: Array = array("n_pairs?", "4")

    @classmethod
    def empty(cls, n_llms: int, n_features: int) -> Sums:
        """Sums of no feedback."""
        q = n_features
        gram, moment, square = np.zeros((n_llms, q, q)), np.zeros((n_llms, q)), np.zeros(n_llms)
        return cls(gram, moment, square, np.zeros(n_llms, np.int64), np.zeros((0, 2), np.int32), np.zeros((0, 4)))

    @property
    def n_observations(self) -> int:
        return int(self.count.sum() + self.pair_sums[:, 0].sum())

    def with_answers(self, features: Array, llm_index: NDArray[np.int64], residual: Array, variance: Array) -> Sums:
        """Add n answers: features f64 (n, q), LLMs int (n,), residuals f64 (n,) and their noise variances f64 (n,)."""
        gram, moment, square = self.gram.copy(), self.moment.copy(), self.square.copy()
        for llm in np.unique(llm_index):
            of_llm = llm_index == llm
            X = features[of_llm] / np.sqrt(variance[of_llm])[:, None]
            y = residual[of_llm] / np.sqrt(variance[of_llm])
            gram[llm] += X.T @ X  # (q, n) x (n, q)
            moment[llm] += X.T @ y
            square[llm] += y @ y
        count = self.count + np.bincount(llm_index, minlength=len(self.count))
        return replace(self, gram=gram, moment=moment, square=square, count=count)

    def with_battles(
        self, llm_a: NDArray[np.int64], llm_b: NDArray[np.int64], residual: Array, variance: Array
    ) -> Sums:
        """Add n battles: LLMs int (n,) each, residuals f64 (n,) of a's lead, and their noise variances f64 (n,)."""
        low, high = np.minimum(llm_a, llm_b), np.maximum(llm_a, llm_b)
        signed, weight = np.where(llm_a < llm_b, residual, -residual), 1 / variance
        new = np.column_stack([np.ones(len(low)), weight, weight * signed, weight * residual**2])
        return self._with_pairs(np.column_stack([low, high]), new)

    def _with_pairs(self, pairs: NDArray[np.integer], pair_sums: Array) -> Sums:
        both = np.concatenate([self.pairs, pairs.astype(np.int32)])
        kinds, place = np.unique(both, axis=0, return_inverse=True)
        total = np.zeros((len(kinds), 4))
        np.add.at(total, place.ravel(), np.concatenate([self.pair_sums, pair_sums]))
        return replace(self, pairs=kinds, pair_sums=total)

    def grown(self, new: NewLLMs) -> Sums:
        """Append new LLMs without feedback."""
        more = Sums.empty(len(new.llm_ids), self.moment.shape[1])
        of_llms = {name: np.concatenate([getattr(self, name), getattr(more, name)]) for name in OF_LLMS}
        return replace(self, **of_llms)

    def take_llms(self, kept: NDArray[np.int64]) -> Sums:
        """Keep the LLMs at these positions, in this order, and the battles between them."""
        position = np.full(len(self.count), -1)
        position[kept] = np.arange(len(kept))
        pairs = position[self.pairs]
        there = (pairs >= 0).all(axis=1)
        a, b = pairs[there].T
        sums = self.pair_sums[there] * np.where(a < b, 1, [[1], [1], [-1], [1]]).T
        of_llms = {name: getattr(self, name)[kept] for name in OF_LLMS}
        found = replace(self, **of_llms, pairs=self.pairs[:0], pair_sums=self.pair_sums[:0])
        return found._with_pairs(np.column_stack([np.minimum(a, b), np.maximum(a, b)]), sums)


OF_LLMS = ("gram", "moment", "square", "count")
