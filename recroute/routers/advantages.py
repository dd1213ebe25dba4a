"""Advantages over the best single LLM, as out-of-fold predictions of them come in, some prompts at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.data import InteractionMatrix
from recroute.data.cells import CELLS_IN_CACHE, row_blocks
from recroute.routers.base import Scores
from recroute.util.numeric import Array, Index, Positions


@dataclass(frozen=True, eq=False)
class Rivals:
    """The LLMs that are predicted to be better than the best single LLM, prompt by prompt.

    Parameters
    ----------
    rows, best : int (b,)
        Prompts, and the best single LLM of each.
    row : int (c,)
        Prompt of each rival, as a position in `rows`; rising.
    llm : int (c,)
        The rival, one that was evaluated on the prompt, as the best single LLM was.
    ahead : f32 (c,)
        Its predicted advantage, above 0.
    """

    rows: Index
    best: Index
    row: NDArray[np.int32]
    llm: NDArray[np.int32]
    ahead: NDArray[np.float32]


class Advantages:
    """Errors of predicted advantages over the best single LLM, and what choosing by them would have gained.

    No prediction is kept but those of `Rivals`, which are few: the best single LLM is predicted to be good.

    Parameters
    ----------
    matrix : InteractionMatrix (n, m)
        Observed scores.
    """

    def __init__(self, matrix: InteractionMatrix) -> None:
        self._matrix = matrix
        self._n, self._squared = np.zeros(matrix.n_llms), np.zeros(matrix.n_llms)
        self._rivals: list[Rivals] = []

    def add(self, rows: Index, predicted: Scores, best: Index) -> None:
        """Take in predictions f32 (b, m) for the prompts `rows` int (b,) with the best single LLMs `best` int (b,)."""
        for part in row_blocks(len(rows), self._matrix.n_llms, CELLS_IN_CACHE):
            self._add(rows[part], predicted[part], best[part])

    def _add(self, rows: Index, predicted: Scores, best: Index) -> None:
        scores, seen = self._matrix.block(rows)
        at = np.arange(len(rows))
        seen *= seen[at, best][:, None]  # nothing is known of a prompt without a score of the best
        ahead = predicted - predicted[at, best][:, None]
        ahead *= seen
        scores -= scores[at, best][:, None]
        scores *= seen
        scores -= ahead
        self._n += seen.sum(axis=0)
        self._squared += np.square(scores, out=scores).sum(axis=0, dtype=np.float64)
        cell = np.flatnonzero(ahead > 0)
        row, llm = (place.astype(np.int32) for place in np.divmod(cell, ahead.shape[1]))
        known = np.flatnonzero(seen.any(axis=1))
        self._rivals.append(
            Rivals(rows[known], best[known], np.searchsorted(known, row).astype(np.int32), llm, ahead.ravel()[cell])
        )

    def standard_errors(self) -> Array:
        """Standard error of each LLM's predicted advantage, f64 (m,); infinite if it shares no prompt with the best."""
        error = np.sqrt(self._squared) / np.maximum(self._n, 1)
        error[self._n == 0] = np.inf
        return error

    def gains(self, margins: Sequence[Array]) -> Array:
        """Gain over the best single LLM of the choices at each margin f64 (m,), f64 (z, n), the margins rising.

        The choice is the LLM with the largest advantage among those above their margins, else the best single LLM. NaN
        for prompts on which the best single LLM was not evaluated.
        """
        gain = np.full((len(margins), self._matrix.n_instances), np.nan)
        for rivals in self._rivals:
            gain[:, rivals.rows] = 0
            scores, _ = self._matrix.block(rivals.rows)
            row, llm, ahead = rivals.row, rivals.llm, rivals.ahead
            for i, margin in enumerate(margins):
                passing = ahead > margin[llm]
                row, llm, ahead = row[passing], llm[passing], ahead[passing]
                chosen = first_best(row, ahead)
                at = row[chosen]
                gain[i, rivals.rows[at]] = scores[at, llm[chosen]] - scores[at, rivals.best[at]]
        return gain


def first_best(group: Positions, values: NDArray[np.floating]) -> Positions:
    """Position of the largest value (k,) in each run of equal groups int (k,), the first among equals.

    >>> first_best(np.array([0, 0, 3, 3]), np.array([1.0, 2.0, 5.0, 5.0]))
    array([1, 2])
    """
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    largest = np.maximum.reduceat(values, starts) if len(starts) else values
    at = np.flatnonzero(values == np.repeat(largest, np.diff(starts, append=len(group))))
    return at[np.diff(group[at], prepend=-1) != 0]
