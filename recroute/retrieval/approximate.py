"""Approximate maximum inner product search with FAISS, by a neighbour graph (HNSW) or inverted lists (IVF)."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.util.numeric import Array

N_LINKS = 32
EF_CONSTRUCTION = 80
EF_SEARCH = 256  # smallest number of candidates of a graph search
EF_PER_ROOT = 1.5  # candidates per square root of the number of vectors, which keeps recall constant
N_PROBE = 32


class Approximate:
    """Index of vectors lifted onto a sphere, where the nearest vector has the largest inner product.

    Graphs and lists search by distance. An additional dimension gives all vectors the same length, which makes the two
    orders equal.
    Source: Bachrach et al., Speeding up the Xbox recommender system, RecSys 2014.

    Parameters
    ----------
    vectors : f64 (m, d)
        The first component of every query is 1.
    kind : {"hnsw", "ivf"}
    seed : int
        Seed of the clustering of "ivf".
    """

    def __init__(self, vectors: Array, kind: str, seed: int) -> None:
        self._kind = kind
        # subtracting a constant from all biases keeps the order and makes the vectors shorter
        self._shift = np.zeros(vectors.shape[1])
        self._shift[0] = vectors[:, 0].mean()
        self._radius = max(_longest(vectors - self._shift), 1e-12)
        self._ef_search = max(EF_SEARCH, int(EF_PER_ROOT * np.sqrt(len(vectors))))
        self._faiss = self._empty(len(vectors), vectors.shape[1], seed)
        self._search_all = self._parameters(None)
        with threadpool_limits(limits=1, user_api="openmp"):  # a graph built by several threads is not reproducible
            lifted = self._lifted(vectors)
            if kind == "ivf":
                self._faiss.train(lifted)
            self._faiss.add(lifted)

    def fits(self, vectors: Array) -> bool:
        """Whether vectors f64 (j, d) fit on the sphere, being no longer than those it was built for."""
        return _longest(vectors - self._shift) <= self._radius

    def extended(self, vectors: Array) -> Approximate:
        """Copy with more vectors f64 (j, d), which must fit (`fits`)."""
        import faiss

        library: Any = faiss  # the type stubs lack these names, here and below
        larger = copy(self)
        larger._faiss = library.clone_index(self._faiss)
        with threadpool_limits(limits=1, user_api="openmp"):
            larger._faiss.add(self._lifted(vectors))
        return larger

    def search(self, queries: Array, n: int, member: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Indices int (b, n) of the best members bool (m,) for queries f64 (b, d), filled up with -1."""
        lifted = np.zeros((len(queries), self._faiss.d), dtype=np.float32)
        lifted[:, :-1] = queries
        lifted *= self._radius / np.linalg.norm(lifted, axis=1, keepdims=True)  # scaling a query keeps the order
        parameters = self._search_all if member is None else self._parameters(member)
        return self._faiss.search(lifted, n, params=parameters)[1]

    def _parameters(self, member: NDArray[np.bool_] | None) -> Any:
        import faiss

        library: Any = faiss
        chosen = {} if member is None else {"sel": library.IDSelectorBitmap(np.packbits(member, bitorder="little"))}
        if self._kind == "hnsw":
            return library.SearchParametersHNSW(efSearch=self._ef_search, **chosen)
        return library.SearchParametersIVF(nprobe=N_PROBE, **chosen)

    def _empty(self, m: int, d: int, seed: int) -> Any:
        import faiss

        if self._kind == "hnsw":
            graph = faiss.IndexHNSWFlat(d + 1, N_LINKS)
            graph.hnsw.efConstruction = EF_CONSTRUCTION
            return graph
        n_lists = max(1, min(int(np.sqrt(m)), m // 39))  # FAISS recommends at least 39 vectors per list
        self._quantizer = faiss.IndexFlatL2(d + 1)
        lists = faiss.IndexIVFFlat(self._quantizer, d + 1, n_lists)
        lists.cp.seed = seed
        return lists

    def _lifted(self, vectors: Array) -> NDArray[np.float32]:
        centred = vectors - self._shift
        height = np.sqrt((self._radius**2 - (centred**2).sum(axis=1)).clip(min=0))
        return np.column_stack([centred, height]).astype(np.float32)


def _longest(vectors: Array) -> float:
    return float(np.linalg.norm(vectors, axis=1).max(initial=0))
