"""The best LLMs for instance factors, found by inner product with FAISS."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from recroute.retrieval.top_k import tie_order, top_k

KINDS = ("flat", "hnsw", "ivf", "exact")
SLACK = 10  # candidates beyond k: room for what float32 may have swapped
EF_SEARCH = 256
N_PROBE = 32

Array = NDArray[np.float64]
Index = NDArray[np.int64]


class LLMIndex:
    """LLM vectors [bias, factors] to be searched with queries [1, instance factors].

    FAISS (float32) names candidates, which are scored again in float64, rounded to float32 and ordered by the rule
    for equal scores: higher train mean, then lower index. Where float32 cannot rule out that an LLM outside the
    candidates belongs among the k best, above all when equal scores reach across the k-th place, that instance is
    ranked over all LLMs: "flat" gives what "exact" gives, whatever order FAISS has for ties. "hnsw" and "ivf" order
    the candidates by the same rule but may miss LLMs, also ones equal to the k-th.

    Parameters
    ----------
    bias : f64 (m,)
    factors : f64 (m, d)
    llm_mean : f64 (m,)
        Train means, for equal scores.
    kind : {"flat", "hnsw", "ivf", "exact"}
        Every vector, a graph of neighbours, inverted lists, or NumPy alone. Flat is right below 100,000 LLMs.
    seed : int
        For the lists of "ivf".
    """

    def __init__(self, bias: Array, factors: Array, llm_mean: Array, kind: str = "flat", seed: int = 0) -> None:
        self._kind = kind
        self._seed = seed
        self._vectors = np.column_stack([bias, factors]).astype(np.float64)
        self._mean = np.asarray(llm_mean, dtype=np.float64)
        self._order = tie_order(self._mean)
        self._longest: float
        self._shift: Array
        self._radius: float
        self._faiss: Any
        self._build()

    def __len__(self) -> int:
        return len(self._vectors)

    def add(self, bias: Array, factors: Array, llm_mean: Array) -> None:
        """Append LLMs: f64 (j,), (j, d) and (j,); they get the next indices.

        Approximate kinds are built anew if a vector is longer than all before it.
        """
        new = np.column_stack([bias, factors]).astype(np.float64)
        self._vectors = np.vstack([self._vectors, new])
        self._mean = np.append(self._mean, llm_mean)
        self._order = tie_order(self._mean)
        self._longest = max(self._longest, _longest(new))
        if self._kind in ("hnsw", "ivf") and _longest(new - self._shift) > self._radius:
            self._build()
        elif self._kind != "exact":
            with threadpool_limits(limits=1, user_api="openmp"):
                self._faiss.add(self._stored(new))

    def extended(self, bias: Array, factors: Array, llm_mean: Array) -> LLMIndex:
        """A copy with more LLMs, see `add`; this one stays as it is."""
        found = copy(self)
        if self._kind != "exact":
            import faiss

            library: Any = faiss  # its type stubs lack this name
            found._faiss = library.clone_index(self._faiss)
        found.add(bias, factors, llm_mean)
        return found

    def search(self, factors: Array, k: int, pool: Index | None = None) -> tuple[Index, NDArray[np.float32]]:
        """The k best LLMs for each instance, best first.

        Parameters
        ----------
        factors : f64 (b, d)
            Instance factors.
        k : int
            At most the number of LLMs, or of the pool.
        pool : int (p,), optional
            Indices to choose among; FAISS skips the others by a selector. Among equals of equal mean the one that
            stands first in it wins, as in `top_k` over its columns.

        Returns
        -------
        index int64 (b, k), predicted score f32 (b, k)
        """
        size = len(self) if pool is None else len(pool)
        position = None
        if pool is not None:
            position = np.full(len(self), -1)
            position[pool] = np.arange(size)
            if np.count_nonzero(position >= 0) < size:  # an LLM named twice is ranked twice
                return self._exact(factors, k, pool)
        if self._kind == "exact" or k + SLACK >= size:
            return self._exact(factors, k, pool)
        found, near = self._candidates(factors, k + SLACK, position)
        predicted = self._predict(factors, found)
        order = np.lexsort((found if position is None else position[found], -self._mean[found], -predicted), axis=1)
        best = order[:, :k]
        rows = np.arange(len(found))[:, None]
        index, score = found[rows, best], predicted[rows, best]
        for row in np.flatnonzero(self._doubtful(factors, found, near, score[:, -1])):
            index[[row]], score[[row]] = self._exact(factors[[row]], k, pool)
        return index, score

    def _exact(self, factors: Array, k: int, pool: Index | None) -> tuple[Index, NDArray[np.float32]]:
        vectors = self._vectors if pool is None else self._vectors[pool]
        predicted = (vectors[:, 0] + factors @ vectors[:, 1:].T).astype(np.float32)  # (b, d) x (d, p) -> (b, p)
        order = self._order if pool is None else tie_order(self._mean[pool])
        best = top_k(predicted, k, order).astype(np.int64)
        return best if pool is None else pool[best], np.take_along_axis(predicted, best, axis=1)

    def _predict(self, factors: Array, found: Index) -> NDArray[np.float32]:
        """Predicted scores f32 (b, c) of candidates int (b, c)."""
        vectors = self._vectors[found]  # (b, c, 1 + d)
        dot = (vectors[:, :, 1:] @ factors[:, :, None])[:, :, 0]
        predicted: NDArray[np.float32] = (vectors[:, :, 0] + dot).astype(np.float32)
        return predicted

    def _doubtful(
        self, factors: Array, found: Index, near: NDArray[np.float32], last: NDArray[np.float32]
    ) -> NDArray[np.bool_]:
        """Rows (b,) whose k best may not be among the candidates."""
        if self._kind != "flat":
            return np.asarray(found.min(axis=1) < 0)
        # Rounding of a float32 inner product of d terms is at most about d + 2 units in the last place of
        # |query| * |vector|; two more for the scores as they are returned, and all of it twice to be safe.
        unit = 2.0**-24 * 2 * (self._vectors.shape[1] + 4)
        length = np.sqrt(1 + np.einsum("bd,bd->b", factors, factors))
        doubtful: NDArray[np.bool_] = near[:, -1] + unit * length * self._longest >= last
        return doubtful

    def _candidates(self, factors: Array, n: int, position: Index | None) -> tuple[Index, NDArray[np.float32]]:
        """Indices int (b, n), -1 where an approximate search found no more, and what FAISS gave for them."""
        queries = np.empty((len(factors), self._faiss.d), dtype=np.float32)
        queries[:, 0] = 1
        queries[:, 1 : self._vectors.shape[1]] = factors
        if self._kind != "flat":  # the nearest in the lifted space, see `_stored`; a query's length changes nothing
            queries[:, -1] = 0
            queries *= self._radius / np.linalg.norm(queries, axis=1, keepdims=True)
        if position is None:
            near, found = self._faiss.search(queries, n, params=self._everyone)
        else:
            near, found = self._faiss.search(queries, n, params=self._parameters(position >= 0))
        return found, near

    def _parameters(self, member: NDArray[np.bool_] | None) -> Any:
        """Search parameters of FAISS, restricted to the members bool (m,)."""
        import faiss

        library: Any = faiss  # its type stubs lack these names
        chosen = {} if member is None else {"sel": library.IDSelectorBitmap(np.packbits(member, bitorder="little"))}
        if self._kind == "hnsw":
            return library.SearchParametersHNSW(efSearch=EF_SEARCH, **chosen)
        if self._kind == "ivf":
            return library.SearchParametersIVF(nprobe=N_PROBE, **chosen)
        return library.SearchParameters(**chosen) if chosen else None

    def _build(self) -> None:
        self._longest = _longest(self._vectors)
        # one number off every bias changes no ranking and makes the vectors differ by more than their common part
        self._shift = np.zeros(self._vectors.shape[1])
        self._shift[0] = self._vectors[:, 0].mean()
        self._radius = max(_longest(self._vectors - self._shift), 1e-12)
        if self._kind == "exact":
            return
        self._faiss = self._empty()
        self._everyone = self._parameters(None)
        with threadpool_limits(limits=1, user_api="openmp"):  # a graph grown by several threads is another each time
            stored = self._stored(self._vectors)
            if self._kind == "ivf":
                self._faiss.train(stored)
            self._faiss.add(stored)

    def _empty(self) -> Any:
        import faiss

        m, width = self._vectors.shape
        if self._kind == "flat":
            return faiss.IndexFlatIP(width)
        if self._kind == "hnsw":
            graph = faiss.IndexHNSWFlat(width + 1, 32)
            graph.hnsw.efConstruction = 80
            return graph
        n_lists = max(1, min(int(np.sqrt(m)), m // 39))  # FAISS asks for 39 vectors a list
        self._quantizer = faiss.IndexFlatL2(width + 1)
        lists = faiss.IndexIVFFlat(self._quantizer, width + 1, n_lists)
        lists.cp.seed = self._seed
        return lists

    def _stored(self, vectors: Array) -> NDArray[np.float32]:
        """What FAISS holds for LLM vectors f64 (j, 1 + d).

        For approximate kinds they are lifted onto a sphere by one more dimension, where the nearest vector is the
        one with the largest inner product: graphs and lists are made for distances.
        Source: Bachrach et al., Speeding up the Xbox recommender system, RecSys 2014.
        """
        if self._kind == "flat":
            return vectors.astype(np.float32)
        centred = vectors - self._shift
        height = np.sqrt((self._radius**2 - (centred**2).sum(axis=1)).clip(min=0))
        return np.column_stack([centred, height]).astype(np.float32)


def _longest(vectors: Array) -> float:
    return float(np.linalg.norm(vectors, axis=1).max(initial=0))
