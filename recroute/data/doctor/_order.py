"""Orders in which a data-parallel run may have written its answers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from recroute.util.numeric import Index

WIDTHS = (2, 3, 4, 5, 6, 7, 8, 12, 16, 32)
LOST = -1  # in place of a row: the value belongs to no row


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
    padded : bool
        Every rank has answered equally many documents: the last ranks answer one of the first documents again, and
        of the answers of all ranks as many are kept as there are documents. So the last of all are lost.
    """

    width: int
    by_task: bool
    observed_only: bool
    padded: bool = False

    def true_rows(self, rows: Index, task: Index) -> Index:
        """The row that each value at `rows` belongs to, int (len(rows),); LOST for an answer that was padding.

        Parameters
        ----------
        rows : int (k,)
            Rows with a value, ascending.
        task : int (n,)
            Task of every row.
        """
        if not self.observed_only:
            return self.places(task)[rows]
        places = self.places(task[rows])
        return np.where(places == LOST, LOST, rows[places])

    def places(self, task: Index) -> Index:
        """The place that each value of a column belongs to, int (k,), by the task of each place, int (k,)."""
        stretch = task if self.by_task else np.zeros_like(task)
        by_stretch = np.argsort(stretch, kind="stable")
        _, start, size = np.unique(stretch[by_stretch], return_index=True, return_counts=True)
        start, size = np.repeat(start, size), np.repeat(size, size)
        document = self._documents(np.arange(len(task)) - start, size)
        places = np.empty(len(task), dtype=np.int64)
        places[by_stretch] = np.where(document < size, by_stretch[start + np.minimum(document, size - 1)], LOST)
        return places

    def _documents(self, at: Index, n: Index) -> Index:
        """The document that was written `at` this place of n; n or more for one that was answered twice."""
        longest = -(-n // self.width)
        if self.padded:
            return at // longest + at % longest * self.width
        n_long = np.where(n % self.width == 0, self.width, n % self.width)  # ranks with one document more
        later = np.maximum(at - n_long * longest, 0)
        shorter = np.maximum(longest - 1, 1)
        of_later = n_long + later // shorter + later % shorter * self.width
        return np.where(at < n_long * longest, at // longest + at % longest * self.width, of_later)

    def __str__(self) -> str:
        where = "each task" if self.by_task else "the data set"
        more = ("" if self.observed_only else ", missing rows counted") + (", padded" if self.padded else "")
        return f"W = {self.width} over {where}{more}"


ORDERS = tuple(
    Order(width, by_task, observed_only, padded)
    for observed_only, by_task, padded, width in product((True, False), (True, False), (False, True), WIDTHS)
)


def rank_order(n: int, width: int, *, padded: bool = False) -> Index:
    """Documents in the order in which `width` ranks write them, one rank after the other, int (n,).

    >>> rank_order(7, 2)
    array([0, 2, 4, 6, 1, 3, 5])
    >>> rank_order(7, 3, padded=True)
    array([ 0,  3,  6,  1,  4, -1,  2])
    """
    return Order(width, False, True, padded).places(np.zeros(n, dtype=np.int64))
