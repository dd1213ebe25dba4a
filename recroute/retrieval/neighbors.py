"""Exact nearest neighbours by cosine with FAISS."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Neighbors:
    """Exact cosine neighbours among fixed vectors.

    Parameters
    ----------
    vectors : f32 (n, d)
        Any length; they are normalised here. A zero vector has similarity 0 to everything.
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        import faiss

        self._index: Any = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(unit(vectors))

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The k nearest of each query.

        Parameters
        ----------
        queries : f32 (b, d)
        k : int
            At most the number of vectors; larger values are cut to it.

        Returns
        -------
        index int64 (b, k), similarity f32 (b, k)
            By falling similarity; equal similarities by rising index.
        """
        k = min(k, self._index.ntotal)
        similarity, index = self._index.search(unit(queries), k)
        order = np.lexsort((index, -similarity), axis=1)
        return np.take_along_axis(index, order, axis=1), np.take_along_axis(similarity, order, axis=1)


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to length 1, f32 (n, d), contiguous as FAISS wants them; zero rows stay zero."""
    vectors = np.array(vectors, dtype=np.float32, order="C")  # a copy: the caller's vectors stay
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors /= np.where(norms > 0, norms, 1)
    return vectors
