"""Exact nearest neighbours by cosine."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recroute.retrieval.top_k import least_of_top_k
from recroute.util.memo import Memo
from recroute.util.threads import one_thread

MIN_CACHED = 64  # queries of a search whose result is cached, because pools and folds repeat it
BLOCK = 1 << 22  # similarities computed at a time
N_DIGITS = 5  # of a similarity that are compared; the last ones depend on how many queries a product has

Found = tuple[NDArray[np.int64], NDArray[np.float32]]

_searches: Memo[Found] = Memo(max_cells=1 << 26)


class Neighbors:
    """Exact cosine neighbours among fixed vectors.

    Parameters
    ----------
    vectors : f32 (n, d)
        Need not be normalised. A zero vector has similarity 0 to all others.
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self._vectors = vectors

    @cached_property
    def _unit(self) -> NDArray[np.float32]:
        return unit(self._vectors)

    def search(self, queries: NDArray[np.float32], k: int) -> Found:
        """Find the k nearest vectors of each query.

        Parameters
        ----------
        queries : f32 (b, d)
        k : int
            Larger values than the number of vectors are reduced to it.

        Returns
        -------
        index : int64 (b, k)
            By descending similarity to 5 digits; ties by ascending index.
        similarity : f32 (b, k)
        """
        if len(queries) < MIN_CACHED:
            return self._search(queries, k)
        arrays = (self._vectors, queries, np.array(k))
        return _searches.get(arrays, lambda: self._search(queries, k), sum(array.size for array in arrays))

    def _search(self, queries: NDArray[np.float32], k: int) -> Found:
        n, k = len(self._vectors), min(k, len(self._vectors))
        step = max(1, BLOCK // max(n, 1))
        index = np.empty((len(queries), k), dtype=np.int64)
        similarity = np.empty((len(queries), k), dtype=np.float32)
        for rows in (slice(start, start + step) for start in range(0, len(queries), step)):
            index[rows], similarity[rows] = self._nearest(unit(queries[rows]), k)
        return index, similarity

    def _nearest(self, queries: NDArray[np.float32], k: int) -> Found:
        with one_thread(1, self._unit.size) if len(queries) == 1 else nullcontext():
            near = queries @ self._unit.T  # (b, d) x (d, n) -> (b, n)
        compared = np.round(near, N_DIGITS)
        row, place = np.divmod(np.flatnonzero(compared >= least_of_top_k(compared, k)), near.shape[1])
        order = np.lexsort((place, -compared[row, place], row))
        first = np.searchsorted(row, np.arange(len(queries)))
        best = place[order[first[:, None] + np.arange(k)]]
        return best, np.take_along_axis(near, best, axis=1)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to length 1, f32 (n, d), contiguous; zero rows stay zero."""
    vectors = np.asarray(vectors, dtype=np.float32)
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    return np.divide(vectors, np.where(norms > 0, norms, 1)[:, None], order="C")
