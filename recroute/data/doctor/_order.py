"""Orders in which a data-parallel run may have written answers, and how well each agrees with related LLMs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recroute.util.numeric import Floats, Index

WIDTHS = (2, 4, 8, 16)
N_RELATIVES, RELATIVE_DECAY = 12, 0.8


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


def relatives_evidence(raw: Floats, observed: NDArray[np.bool_], task: Index, llms: Index, peers: Index) -> Floats:
    """Log-likelihood ratio of each order by the agreement with the nearest relatives, f32 (orders, len(llms))."""
    solved = (raw >= 0.5).astype(np.float32)
    present = _agreement(solved, observed, task, llms, peers, None)
    incomplete = ~observed[:, llms].all(axis=0)
    ratio = np.full((len(ORDERS), len(llms)), -np.inf, dtype=np.float32)
    for i, order in enumerate(ORDERS):
        asked = np.flatnonzero(incomplete) if not order.observed_only else np.arange(len(llms))
        if len(asked):
            ratio[i, asked] = _agreement(solved, observed, task, llms[asked], peers, order) - present[asked]
    return ratio


def _agreement(
    solved: Floats, observed: NDArray[np.bool_], task: Index, llms: Index, peers: Index, order: Order | None
) -> Floats:
    """Log-likelihood of each LLM's answers given its task means and its relatives', up to a constant, f32 (b,)."""
    y = np.zeros((len(task), len(llms)), dtype=np.float32)
    seen = np.zeros_like(y)
    for b, j in enumerate(llms):
        rows = np.flatnonzero(observed[:, j])
        at = rows if order is None else order.true_rows(rows, task)
        y[at, b], seen[at, b] = solved[rows, j], 1
    information = np.zeros((len(llms), len(peers)), dtype=np.float32)
    alone = np.zeros(len(llms), dtype=np.float32)
    for t in range(int(task.max()) + 1):
        rows = np.flatnonzero(task == t)
        y_t, seen_t = y[rows], seen[rows]
        peer_seen = observed[np.ix_(rows, peers)].astype(np.float32)
        peer_y = solved[np.ix_(rows, peers)] * peer_seen
        n_seen, n_solved = seen_t.sum(axis=0), y_t.sum(axis=0)
        alone += _xlogx(n_solved) + _xlogx(n_seen - n_solved) - _xlogx(n_seen)
        both = y_t.T @ peer_y  # (b, rows) x (rows, peers) -> (b, peers)
        own, other, n = y_t.T @ peer_seen, seen_t.T @ peer_y, seen_t.T @ peer_seen
        neither = n - own - other + both
        mutual = _xlogx(both) + _xlogx(own - both) + _xlogx(other - both) + _xlogx(neither) + _xlogx(n)
        mutual -= _xlogx(own) + _xlogx(n - own) + _xlogx(other) + _xlogx(n - other)
        information += np.where(both * neither >= (own - both) * (other - both), mutual, -mutual)
    information[llms[:, None] == peers[None, :]] = 0
    k = min(N_RELATIVES, len(peers))
    nearest = -np.sort(-np.partition(information, -k, axis=1)[:, -k:], axis=1)
    return alone + nearest @ (RELATIVE_DECAY ** np.arange(k, dtype=np.float32))


def _xlogx(a: Floats) -> Floats:
    return a * np.log(np.maximum(a, 1e-9))
