"""The interaction matrix: (instances, LLMs), sparse, three states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from recroute.errors import DataError

Index = NDArray[np.integer]


@dataclass(frozen=True)
class InteractionMatrix:
    """Observed scores of n instances by m LLMs.

    A cell holds a score in (0, 1], a stored 0 (a failure), or nothing (unobserved). The three are never
    mixed: nothing here drops a stored zero, and a dense block marks unobserved cells as NaN.

    Parameters
    ----------
    scores : scipy.sparse.csr_matrix, float32 (n, m)
        Observed scores; zeros are stored.
    costs : scipy.sparse.csr_matrix, float32 (n, m), optional
        USD per answer, stored in the same cells as `scores`; NaN where the cost is unknown.
    """

    scores: sp.csr_matrix
    costs: sp.csr_matrix | None = None

    def __post_init__(self) -> None:
        if not self.scores.has_canonical_format:
            raise DataError("an interaction matrix needs sorted cells without duplicates; use from_coordinates")
        if self.costs is not None and self.costs.nnz != self.scores.nnz:
            raise DataError("scores and costs have to be stored in the same cells")

    @classmethod
    def from_coordinates(
        cls,
        instance_index: Index,
        llm_index: Index,
        score: ArrayLike,
        shape: tuple[int, int],
        cost: ArrayLike | None = None,
    ) -> InteractionMatrix:
        """Build from one entry per observed cell.

        Parameters
        ----------
        instance_index, llm_index : int (k,)
            Row and column of each cell; no cell twice (`Records` checks that).
        score : f32 (k,) in [0, 1]
        shape : (n_instances, n_llms)
        cost : f32 (k,) USD, optional
        """
        order = np.lexsort((llm_index, instance_index))
        counts = np.bincount(instance_index, minlength=shape[0])
        indptr = np.concatenate([[0], np.cumsum(counts)])
        columns = np.asarray(llm_index, dtype=np.int32)[order]

        def csr(values: ArrayLike) -> sp.csr_matrix:
            matrix = sp.csr_matrix((np.asarray(values, dtype=np.float32)[order], columns, indptr), shape=shape)
            matrix.has_sorted_indices = True
            return matrix

        return cls(csr(score), None if cost is None else csr(cost))

    @classmethod
    def from_dense(cls, block: ArrayLike) -> InteractionMatrix:
        """Build from f32 (n, m) with NaN where nothing was observed.

        >>> InteractionMatrix.from_dense([[1.0, 0.0], [float("nan"), 0.5]]).n_observed
        3
        """
        dense = np.asarray(block, dtype=np.float32)
        rows, columns = np.nonzero(~np.isnan(dense))
        return cls.from_coordinates(rows, columns, dense[rows, columns], (dense.shape[0], dense.shape[1]))

    @property
    def n_instances(self) -> int:
        return int(self.scores.shape[0])

    @property
    def n_llms(self) -> int:
        return int(self.scores.shape[1])

    @property
    def n_observed(self) -> int:
        """Number of observed cells, failures included."""
        return int(self.scores.nnz)

    @property
    def has_record(self) -> NDArray[np.bool_]:
        """Whether anything was observed on each instance, bool (n,)."""
        seen: NDArray[np.bool_] = np.diff(self.scores.indptr) > 0
        return seen

    @property
    def density(self) -> float:
        """Share of the cells that was observed."""
        cells = self.n_instances * self.n_llms
        return self.n_observed / cells if cells else 0.0

    def take_instances(self, index: Index) -> InteractionMatrix:
        """The rows at `index`, in that order."""
        return InteractionMatrix(self.scores[index], None if self.costs is None else self.costs[index])

    def take_llms(self, index: Index) -> InteractionMatrix:
        """The columns at `index`, in that order."""
        costs = None if self.costs is None else _columns(self.costs, index)
        return InteractionMatrix(_columns(self.scores, index), costs)

    def dense(self) -> NDArray[np.float32]:
        """Scores f32 (n, m), NaN where unobserved."""
        block = np.full(self.scores.shape, np.nan, dtype=np.float32)
        block[self.coordinates()] = self.scores.data
        return block

    def coordinates(self) -> tuple[Index, Index]:
        """Row and column of each observed cell, in the order of `scores.data`."""
        rows = np.repeat(np.arange(self.n_instances, dtype=np.int32), np.diff(self.scores.indptr))
        return rows, self.scores.indices


def _columns(matrix: sp.csr_matrix, index: Index) -> sp.csr_matrix:
    """Columns of a CSR matrix, sorted within rows; scipy keeps stored zeros here (a test holds it to that)."""
    taken = matrix[:, np.asarray(index)]
    taken.sort_indices()
    taken.has_canonical_format = True
    return taken
