"""`LLMIndex`: search for the best LLMs by inner product with instance factors."""

from __future__ import annotations

from copy import copy

import numpy as np
from numpy.typing import NDArray

from recroute.retrieval.approximate import Approximate
from recroute.retrieval.top_k import least_of_top_k, tie_order, top_k
from recroute.util.numeric import Array, Index
from recroute.util.threads import one_thread

KINDS = ("flat", "hnsw", "ivf", "exact")
SLACK = 10  # additional candidates of an approximate search, because float32 rounding may swap some
BLOCK = 1 << 19  # scores computed at a time, which fit in the CPU cache

Found = tuple[Index, NDArray[np.float32]]


class LLMIndex:
    """LLM vectors [bias, factors], searched with queries [1, instance factors].

    Candidates are found in float32, scored again in float64, rounded to float32 and sorted; ties go to the higher
    training mean, then to the lower index. "flat" considers all LLMs that float32 cannot distinguish from the k best,
    so its result equals that of "exact", including ties at the k-th place. "hnsw" and "ivf" sort the candidates of
    FAISS by the same rule but may miss some LLMs.

    Parameters
    ----------
    bias : f64 (m,)
    factors : f64 (m, d)
    llm_mean : f64 (m,)
        Training means, which break ties.
    kind : {"flat", "hnsw", "ivf", "exact"}
        Exhaustive search, a neighbour graph, inverted lists, or exhaustive search in float64. Use "flat" below 100,000
        LLMs.
    seed : int
        Seed of the clustering of "ivf".
    """

    def __init__(self, bias: Array, factors: Array, llm_mean: Array, kind: str = "flat", seed: int = 0) -> None:
        self._kind = kind
        self._seed = seed
        self._vectors = np.column_stack([bias, factors]).astype(np.float64)
        self._mean = np.asarray(llm_mean, dtype=np.float64)
        self._approximate: Approximate | None
        self._build()

    def __len__(self) -> int:
        return len(self._vectors)

    def add(self, bias: Array, factors: Array, llm_mean: Array) -> None:
        """Append LLMs: f64 (j,), (j, d) and (j,); they get the next indices.

        Approximate indexes are rebuilt if a new vector is longer than all others.
        """
        new = np.column_stack([bias, factors]).astype(np.float64)
        self._vectors = np.vstack([self._vectors, new])
        self._mean = np.append(self._mean, llm_mean)
        if self._approximate is not None and self._approximate.fits(new):
            self._approximate = self._approximate.extended(new)
            return
        self._build()

    def extended(self, bias: Array, factors: Array, llm_mean: Array) -> LLMIndex:
        """Copy with more LLMs, see `add`."""
        larger = copy(self)
        larger.add(bias, factors, llm_mean)
        return larger

    def _build(self) -> None:
        """Build the index of the vectors."""
        self._approximate = None
        if self._kind in ("hnsw", "ivf"):
            self._approximate = Approximate(self._vectors, self._kind, self._seed)
        elif self._kind == "flat":
            self._columns = np.ascontiguousarray(self._vectors.T, dtype=np.float32)  # (1 + d, m)
            self._longest = float(np.linalg.norm(self._vectors, axis=1).max(initial=0))

    def search(self, factors: Array, k: int, pool: Index | None = None) -> Found:
        """The k best LLMs for each instance, best first.

        Parameters
        ----------
        factors : f64 (b, d)
            Instance factors.
        k : int
            At most the number of LLMs, or of the pool.
        pool : int (p,), optional
            Indices of the LLMs to choose from (default: all). Among LLMs with equal score and mean, the first in the
            pool wins, as in `top_k` over its columns.

        Returns
        -------
        index : int64 (b, k)
        predicted_score : f32 (b, k)
        """
        queries = np.empty((len(factors), self._vectors.shape[1]))
        queries[:, 0] = 1
        queries[:, 1:] = factors
        with one_thread(len(queries), self._vectors.size):
            if self._approximate is not None:
                return self._candidates(self._approximate, queries, k, pool)
            if self._kind == "exact":
                return self._exact(queries, k, pool)
            rows = max(1, BLOCK // len(self))
            if len(queries) <= rows:
                return self._flat(queries, k, pool)
            blocks = [self._flat(queries[i : i + rows], k, pool) for i in range(0, len(queries), rows)]
        index, score = zip(*blocks, strict=True)
        return np.concatenate(index), np.concatenate(score)

    def _exact(self, queries: Array, k: int, pool: Index | None) -> Found:
        vectors, mean = (self._vectors, self._mean) if pool is None else (self._vectors[pool], self._mean[pool])
        predicted = (queries @ vectors.T).astype(np.float32)  # (b, 1 + d) x (1 + d, p) -> (b, p)
        best = top_k(predicted, k, tie_order(mean)).astype(np.int64)
        return best if pool is None else pool[best], np.take_along_axis(predicted, best, axis=1)

    def _flat(self, queries: Array, k: int, pool: Index | None) -> Found:
        near = queries.astype(np.float32) @ self._columns  # (b, 1 + d) x (1 + d, m) -> (b, m)
        if pool is not None:
            near = near[:, pool]
        # The rounding error of a float32 inner product of d terms is at most about d + 2 units in the last place of
        # |query| * |vector|. Two units are added for rounding the result, and the bound is doubled to be safe. Both the
        # k-th best and a better one may be off by this.
        unit = 2.0**-24 * 2 * (self._vectors.shape[1] + 4)
        slack = 2 * unit * self._longest * np.sqrt(np.einsum("bd,bd->b", queries, queries))[:, None]
        least = least_of_top_k(near, k) - slack.astype(np.float32)
        row, place = np.divmod(np.flatnonzero(near >= least), near.shape[1])
        return self._ordered(queries, k, row, place, place if pool is None else pool[place])

    def _candidates(self, approximate: Approximate, queries: Array, k: int, pool: Index | None) -> Found:
        size, place = len(self), np.arange(len(self))
        if pool is not None:
            size, place = len(pool), np.full(len(self), -1)
            place[pool] = np.arange(size)
        member = place >= 0
        if k + SLACK >= size or np.count_nonzero(member) < size:  # a pool may list an LLM twice
            return self._exact(queries, k, pool)
        found = approximate.search(queries, k + SLACK, None if pool is None else member)  # (b, k + SLACK)
        row, llm = np.repeat(np.arange(len(queries)), k + SLACK), found.ravel()
        index, score = self._ordered(queries, k, row, place[llm], llm)
        for short in np.flatnonzero(found.min(axis=1) < 0):
            index[[short]], score[[short]] = self._exact(queries[[short]], k, pool)
        return index, score

    def _ordered(self, queries: Array, k: int, row: Index, place: Index, llm: Index) -> Found:
        """The k best of c candidates, each given by the row of its query, its position in the pool and its LLM."""
        predicted = np.einsum("cd,cd->c", self._vectors[llm], queries[row]).astype(np.float32)
        order = np.lexsort((place, -self._mean[llm], -predicted, row))
        first = np.searchsorted(row[order], np.arange(len(queries)))
        best = order[first[:, None] + np.arange(k)]
        return llm[best], predicted[best]
