"""How well an LLM's answers agree with those of the LLMs it resembles most, under every order of its rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.data.doctor._order import ORDERS, Order
from recroute.util.numeric import Floats, Index

N_RELATIVES, RELATIVE_DECAY = 12, 0.8


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
