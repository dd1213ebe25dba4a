"""Which rows belong where when the answers of a data-parallel run were written rank after rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.util.numeric import Index

WIDTHS = (2, 4, 8, 16)


@dataclass(frozen=True)
class Order:
    """Documents 0, W, 2W, ..., then 1, W + 1, ... of each stretch of rows.

    Parameters
    ----------
    width : int
        W, the number of ranks.
    by_task : bool
        A stretch is a task, or the whole data set.
    observed_only : bool
        The stretch has the rows that the LLM has a score for, or all rows.
    """

    width: int
    by_task: bool
    observed_only: bool

    def true_rows(self, rows: Index, task: Index) -> Index:
        """The row that each value at `rows` belongs to, int (len(rows),).

        Parameters
        ----------
        rows : int (k,)
            Rows with a value, ascending.
        task : int (n,)
            Task of every row.
        """
        if self.observed_only:
            return rows[self._places(task[rows])]
        return self._places(task)[rows]

    def _places(self, task: Index) -> Index:
        stretch = task if self.by_task else np.zeros_like(task)
        places = np.empty(len(task), dtype=np.int64)
        for name in np.unique(stretch):
            at = np.flatnonzero(stretch == name)
            places[at] = at[rank_order(len(at), self.width)]
        return places

    def __str__(self) -> str:
        where = "each task" if self.by_task else "the data set"
        return f"W = {self.width} over {where}" + ("" if self.observed_only else ", missing rows counted")


ORDERS = tuple(
    Order(width, by_task, observed_only)
    for observed_only in (True, False)
    for by_task in (True, False)
    for width in WIDTHS
)


def rank_order(n: int, width: int) -> Index:
    """Documents in the order in which `width` ranks write them, one rank after the other, int (n,).

    >>> rank_order(7, 2)
    array([0, 2, 4, 6, 1, 3, 5])
    """
    return np.concatenate([np.arange(rank, n, width) for rank in range(width)])


def patterns(observed: NDArray[np.bool_]) -> list[tuple[Index, Index]]:
    """Groups of LLMs with a score for the same instances: (rows, LLMs) of each."""
    packed = np.packbits(observed, axis=0).T
    _, group = np.unique(packed, axis=0, return_inverse=True)
    order = np.argsort(group.ravel(), kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(group.ravel()[order])) + 1)
    return [(np.flatnonzero(observed[:, llms[0]]), llms) for llms in parts]
