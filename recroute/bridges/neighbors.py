"""Similarity-weighted mean of the nearest training prompts' factors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recroute.retrieval import Neighbors
from recroute.util.numeric import Array, ratio
from recroute.util.state import array

COUNTS = np.array([5, 10, 20, 50, 100, 200])
# Candidate weights of the overall mean, in neighbours of similarity 1; infinity gives the mean alone.
PRIORS = np.array([0.0, 1, 2, 5, 10, 20, 50, np.inf])
MAX_LEFT_OUT = 2000
ROWS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class NeighborsBridge:
    """Weighted mean of the nearest training prompts' factors, shrunk towards the mean of all prompts.

    With weights w = max(cosine, 0) the prediction is (sum of w * factors + reg * mean) / (sum of w + reg).

    Parameters
    ----------
    vectors : f32 (n, d)
        Training prompts.
    factors : f64 (n, k)
    mean : f64 (k,)
    n_neighbors : int64 ()
    reg : f64 ()
    """

    vectors: NDArray[np.float32] = array("n_prompts", "width")
    factors: Array = array("n_prompts", "n_factors")
    mean: Array = array("n_factors")
    n_neighbors: NDArray[np.int64] = array(kind="int", low=1)
    reg: Array = array(low=0, allow=("inf",))

    @classmethod
    def fit(
        cls,
        X: NDArray[np.floating],
        Y: NDArray[np.floating],
        reg: float | None,
        seed: int,
        n_neighbors: int | None = None,
    ) -> NeighborsBridge:
        """Fit on prompt vectors float (n, d) and instance factors float (n, k).

        `n_neighbors` and `reg`, unless given, minimise the leave-one-out error over at most `MAX_LEFT_OUT` rows drawn
        by seed.
        """
        vectors, factors = np.array(X, dtype=np.float32), np.asarray(Y, dtype=np.float64)
        mean = factors.mean(axis=0)
        counts = np.unique(COUNTS.clip(max=max(len(X) - 1, 1)) if n_neighbors is None else [n_neighbors])
        priors = PRIORS if reg is None else np.array([float(reg)])
        if len(X) == 1 or len(counts) == len(priors) == 1:
            return cls(vectors, factors, mean, counts[0], priors[0])
        rows = np.sort(np.random.default_rng(seed).permutation(len(X))[:MAX_LEFT_OUT])
        index = Neighbors(vectors)
        errors = np.zeros((len(counts), len(priors)))
        for start in range(0, len(rows), ROWS_AT_ONCE):
            errors += left_out_errors(index, vectors, factors, rows[start : start + ROWS_AT_ONCE], counts, priors)
        best, chosen = np.unravel_index(int(errors.argmin()), errors.shape)
        return cls(vectors, factors, mean, counts[best], priors[chosen])

    def __call__(self, X: NDArray[np.floating]) -> Array:
        near, similarity = self._index.search(np.asarray(X, dtype=np.float32), int(self.n_neighbors))
        weight = similarity.clip(min=0).astype(np.float64)
        deviation = np.einsum("bn,bnk->bk", weight, self.factors[near] - self.mean)
        return self.mean + deviation * _share(weight.sum(axis=1), self.reg)[:, None]

    @cached_property
    def _index(self) -> Neighbors:
        return Neighbors(self.vectors)


def _share(weight: Array, prior: Array) -> Array:
    """1 / (weight + prior), and 0 if the prior is infinite or both are 0."""
    return ratio(np.ones(()), weight + prior, otherwise=0)


def left_out_errors(
    index: Neighbors,
    X: NDArray[np.float32],
    Y: Array,
    rows: NDArray[np.int64],
    counts: NDArray[np.int64],
    priors: Array,
) -> Array:
    """Squared leave-one-out error f64 (counts, priors) on `rows`, each predicted from all other rows."""
    near, similarity = index.search(X[rows], int(counts.max()) + 1)
    others = near != rows[:, None]
    others[others.all(axis=1), -1] = False  # a row with many copies may be missing; drop the last neighbour then
    shape = (len(rows), near.shape[1] - 1)
    near, weight = near[others].reshape(shape), similarity[others].reshape(shape).clip(min=0).astype(np.float64)
    mean = (Y.sum(axis=0) - Y[rows]) / (len(Y) - 1)  # mean of the others
    deviation = Y[near] - mean[:, None, :]
    counts = counts.clip(max=shape[1]) - 1
    summed = (weight[:, :, None] * deviation).cumsum(axis=1)[:, counts]  # (rows, counts, k)
    total = weight.cumsum(axis=1)[:, counts]
    share = _share(total[:, :, None], priors)  # (rows, counts, priors)
    residual = (Y[rows] - mean)[:, None, None, :] - summed[:, :, None, :] * share[:, :, :, None]
    return (residual**2).sum(axis=(0, 3))
