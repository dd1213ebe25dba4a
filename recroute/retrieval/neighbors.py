"""Exact nearest neighbours by cosine with FAISS."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.util.memo import Memo

MIN_CACHED = 64  # queries of a search whose result is cached, because pools and folds repeat it


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
    def _index(self) -> Any:
        import faiss

        index = faiss.IndexFlatIP(self._vectors.shape[1])
        index.add(unit(self._vectors))
        return index

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Find the k nearest vectors of each query.

        Parameters
        ----------
        queries : f32 (b, d)
        k : int
            Larger values than the number of vectors are reduced to it.

        Returns
        -------
        index : int64 (b, k)
            By descending similarity; ties by ascending index.
        similarity : f32 (b, k)
        """
        if len(queries) >= MIN_CACHED:
            return _search_many(self._vectors, queries, np.array(k))
        return self._search(queries, k)

    def _search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        k = min(k, len(self._vectors))
        similarity, index = self._index.search(unit(queries), k)
        order = np.lexsort((index, -similarity), axis=1)
        return np.take_along_axis(index, order, axis=1), np.take_along_axis(similarity, order, axis=1)


_search_many = Memo(lambda vectors, queries, k: Neighbors(vectors)._search(queries, int(k)), max_cells=1 << 26)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to length 1, f32 (n, d), contiguous as FAISS requires; zero rows stay zero."""
    vectors = np.array(vectors, dtype=np.float32, order="C")  # a copy
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(norms > 0, norms, 1)
    return vectors
