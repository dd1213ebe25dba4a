"""The interaction matrix: (instances, LLMs), three states."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from recroute.data.cells import (
    CELLS_IN_CACHE,
    MAX_VALUES,
    TWICE,
    Cells,
    CodeBook,
    DenseCells,
    SparseCells,
    csr_from_coordinates,
    row_blocks,
)
from recroute.data.matrix_state import CODED, SPARSE, refuse_codes, refuse_csr
from recroute.data.schema import LARGEST, RECORDS
from recroute.errors import DataError
from recroute.util.arrays import ArrayRule
from recroute.util.numeric import Positions, ratio

__all__ = ["DENSE_FROM", "InteractionMatrix"]

STORES_ZEROS = ("csr", "csc", "coo")  # formats of scipy in which a 0 may be stored, and is kept
DENSE_FROM = 1 / 8  # of the cells observed: from here on a byte a cell is less than eight for each observed one


@dataclass(frozen=True, repr=False)
class InteractionMatrix:
    """Observed scores of n instances by m LLMs.

    A cell holds a score in (0, 1], a stored 0 (a failure), or nothing (unobserved). The three are never
    mixed: nothing here drops a stored zero, and a dense block marks unobserved cells as NaN. Scores are exact.

    Parameters
    ----------
    cells : DenseCells or SparseCells (n, m)
        Where at least an eighth of the cells is observed and at most 255 different scores occur, a byte for each
        cell; otherwise CSR. The constructors `from_*` choose; both behave alike.
    """

    cells: Cells

    @classmethod
    def from_coordinates(
        cls,
        instance_index: Positions,
        llm_index: Positions,
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
        rows, columns = np.asarray(instance_index), np.asarray(llm_index)
        values = [np.asarray(v, dtype=np.float32) for v in ([score] if cost is None else [score, cost])]
        if not np.isfinite(values[0]).all():
            raise DataError("a score is not finite; leave the cell out if it was not evaluated")
        if cost is not None:
            _check_costs(values[1])
        if is_dense(len(rows), shape):
            book = CodeBook()
            if (found := book.encode(values[0])) is not None:
                codes = np.zeros(shape, dtype=np.uint8)
                codes[rows, columns] = found
                if np.count_nonzero(codes) < len(rows):
                    raise DataError(TWICE)
                spent = None
                if cost is not None:
                    spent = np.full(shape, np.nan, dtype=np.float32)
                    spent[rows, columns] = values[1]
                return cls(DenseCells(codes, book.finish(codes), spent))
        return cls(SparseCells(*csr_from_coordinates(rows, columns, values, shape)))

    @classmethod
    def empty(cls, n_instances: int, n_llms: int) -> InteractionMatrix:
        """Of which no cell was observed."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls.from_coordinates(nothing, nothing, [], (n_instances, n_llms))

    @classmethod
    def from_dense(cls, block: ArrayLike) -> InteractionMatrix:
        """Build from f32 (n, m) with NaN where nothing was observed.

        >>> InteractionMatrix.from_dense([[1.0, 0.0], [float("nan"), 0.5]]).n_observed
        3
        """
        dense = np.asarray(block)
        dense = dense if dense.dtype == np.float64 else np.asarray(dense, dtype=np.float32)
        if dense.ndim != 2:
            raise DataError(f"a block of scores has the shape {dense.shape}; give f32 (n, m), instances in rows")
        shape = (dense.shape[0], dense.shape[1])
        if (cells := _coded(dense)) is not None and is_dense(int(np.count_nonzero(cells.codes)), shape):
            return cls(cells)
        dense = _single(dense)
        rows, columns = np.nonzero(~np.isnan(dense))
        return cls(SparseCells(*csr_from_coordinates(rows, columns, [dense[rows, columns]], shape)))

    @classmethod
    def from_matrix(cls, matrix: Any) -> InteractionMatrix:
        """Build from scipy's csr, csc or coo (n, m), or from an array as `from_dense` takes it.

        A stored 0 is a failure, what is absent or NaN is unobserved. Other sparse formats cannot tell the two apart.

        >>> cells = scipy.sparse.coo_array(([1.0, 0.0], ([0, 1], [0, 0])), shape=(2, 2))
        >>> InteractionMatrix.from_matrix(cells).n_observed
        2
        """
        if isinstance(matrix, np.ndarray) or not scipy.sparse.issparse(matrix):  # scipy.sparse is imported for the rest
            masked = np.ma.isMA(matrix)
            return cls.from_dense(_numbers(matrix.astype(np.float64).filled(np.nan) if masked else matrix))
        if matrix.format not in STORES_ZEROS or matrix.ndim != 2:
            raise DataError(
                f"a sparse matrix of {matrix.ndim} dimensions in the format {matrix.format} cannot tell a score of 0 "
                f"from a cell that was not observed; give {', '.join(STORES_ZEROS)} (n, m) with its zeros stored"
            )
        cells = matrix.tocoo()
        scores = _numbers(cells.data)
        seen = ~np.isnan(scores)
        return cls.from_coordinates(cells.row[seen], cells.col[seen], scores[seen], matrix.shape)

    @classmethod
    def from_csr(
        cls, scores: scipy.sparse.csr_matrix, costs: scipy.sparse.csr_matrix | None = None
    ) -> InteractionMatrix:
        """Build from CSR with sorted cells, which are taken as they are; stored zeros are failures."""
        if costs is not None:
            _check_costs(costs.data)
        return cls(SparseCells(scores, costs))

    @property
    def shape(self) -> tuple[int, int]:
        """n, m."""
        return self.cells.shape

    @property
    def n_instances(self) -> int:
        return self.cells.shape[0]

    @property
    def n_llms(self) -> int:
        return self.cells.shape[1]

    @cached_property
    def instance_counts(self) -> NDArray[np.int64]:
        """Number of LLMs that each instance has a record of, int64 (n,)."""
        return self.cells.instance_counts()

    @cached_property
    def llm_counts(self) -> NDArray[np.int64]:
        """Number of instances that each LLM has a record of, int64 (m,)."""
        return self.cells.llm_counts()

    @property
    def n_observed(self) -> int:
        """Number of observed cells, failures included."""
        return int(self.instance_counts.sum())

    @property
    def density(self) -> float:
        """Share of the cells that was observed."""
        cells = self.n_instances * self.n_llms
        return self.n_observed / cells if cells else 0.0

    @property
    def is_complete(self) -> bool:
        """True if every cell was observed."""
        return self.n_observed == self.n_instances * self.n_llms

    def check_scores(self) -> None:
        """Raise DataError for a score outside [0, 1]."""
        values = self.cells.values[1:] if isinstance(self.cells, DenseCells) else self.scores.data
        low, high = values.min(initial=0.0), values.max(initial=1.0)
        if not 0 <= low <= high <= 1:
            raise DataError(f"score {low if low < 0 else high:g} is outside [0, 1]; scale the scores or fix it")

    def __repr__(self) -> str:
        n, m = self.shape
        return (
            f"InteractionMatrix({n:,} instances x {m:,} LLMs, {self.n_observed:,} records, density {self.density:.3f})"
        )

    def take_instances(self, index: Positions | slice) -> InteractionMatrix:
        """The rows at `index`, in that order."""
        return InteractionMatrix(self.cells.take_instances(index))

    def take_llms(self, index: Positions) -> InteractionMatrix:
        """The columns at `index`, in that order."""
        return InteractionMatrix(self.cells.take_llms(np.asarray(index)))

    def with_llms(self, others: InteractionMatrix) -> InteractionMatrix:
        """The scores, without costs, with those of other LLMs (n, j) on the same instances behind them."""
        if isinstance(self.cells, DenseCells):
            known, block = self.cells.values[1:], others.dense()
            values = np.unique(np.concatenate([known, block[~np.isnan(block)]]))
            if len(values) <= MAX_VALUES:
                own = np.append(0, 1 + np.searchsorted(values, known)).astype(np.uint8).take(self.cells.codes)
                added = np.where(np.isnan(block), 0, 1 + np.searchsorted(values, block)).astype(np.uint8)
                return InteractionMatrix(DenseCells(np.hstack([own, added]), np.append(np.float32(np.nan), values)))
        scores = scipy.sparse.hstack([self.scores, others.scores], format="csr", dtype=np.float32)
        scores.sort_indices()
        scores.has_canonical_format = True
        return InteractionMatrix.from_csr(scores)

    def dense(self, rows: slice = slice(None)) -> NDArray[np.float32]:
        """Scores f32 (n, m), NaN where unobserved; or some rows of them."""
        return (self.cells if rows == slice(None) else self.cells.take_instances(rows)).dense()

    def block(self, rows: slice | Positions) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Some rows for algebra, f32 (b, m): scores, 0 where unobserved; and 1 where observed, 0 elsewhere."""
        return self.cells.block(rows)

    def coordinates(self) -> tuple[Positions, Positions]:
        """Row and column of each observed cell, row by row: the order of `scores.data`."""
        rows = np.repeat(np.arange(self.n_instances, dtype=np.int32), self.instance_counts)
        return rows, self.scores.indices

    @property
    def scores(self) -> scipy.sparse.csr_matrix:
        """The observed scores as CSR f32 (n, m), failures as stored zeros.

        Eight bytes for each observed cell; made on demand from the dense layout.
        """
        return self.cells.scores()

    @property
    def costs(self) -> scipy.sparse.csr_matrix | None:
        """USD per answer as CSR f32 (n, m), in the cells of `scores`, NaN where unknown; None without costs."""
        return self.cells.costs()

    def dense_costs(self) -> NDArray[np.float32] | None:
        """USD per answer f32 (n, m), NaN where unknown; None where no cost is known."""
        block = self.cells.dense_costs()
        return None if block is None or np.isnan(block).all() else block

    def mean_costs(self) -> NDArray[np.float64] | None:
        """Mean USD per answer of each LLM, f64 (m,), NaN where unknown; None where no cost is known."""
        if (block := self.dense_costs()) is None:
            return None
        return ratio(np.nansum(block, axis=0, dtype=np.float64), np.count_nonzero(~np.isnan(block), axis=0))

    def state(self) -> dict[str, NDArray[Any]]:
        """The scores, without costs, as arrays: enough to tell two matrices apart; `of_state` takes them back."""
        if isinstance(self.cells, DenseCells):
            return {"codes": np.asarray(self.cells.codes), "values": self.cells.values}
        stored = self.scores
        return {"data": stored.data, "indices": stored.indices, "indptr": stored.indptr, "shape": np.array(self.shape)}

    @staticmethod
    def state_rules(names: Collection[str]) -> dict[str, ArrayRule]:
        """What each array of `state` has to be; `names` are those that are there."""
        return CODED if "codes" in names else SPARSE

    @classmethod
    def of_state(cls, arrays: Mapping[str, NDArray[Any]]) -> InteractionMatrix:
        """The matrix that `state` wrote.

        Raises KeyError if an array is missing, DataError if they do not fit together.
        """
        if "codes" in arrays:
            refuse_codes(arrays)
            return cls(DenseCells(arrays["codes"], arrays["values"]))
        refuse_csr(arrays)
        n, m = arrays["shape"]
        return cls.from_csr(
            scipy.sparse.csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=(int(n), int(m)))
        )


def _numbers(values: Any) -> NDArray[np.float32]:
    """Scores as f32; DataError for what is no real number."""
    try:
        found = np.asarray(values)
        if found.dtype.kind not in "fiub":
            found = np.array(found.tolist(), dtype=np.float64)  # objects: None is NaN
        return found.astype(np.float32)
    except (TypeError, ValueError):
        raise DataError("a matrix of scores holds something else than real numbers; give f32 (n, m)") from None


def _check_costs(costs: NDArray[np.floating]) -> None:
    """Raise DataError for a cost that is negative or too large; an unknown one is NaN."""
    low, high = np.fmin.reduce(costs, axis=None, initial=0.0), np.fmax.reduce(costs, axis=None, initial=0.0)
    if low < 0 or high > LARGEST:
        raise DataError(f"cost {low if low < 0 else high:g} {RECORDS['cost'].outside}")


def is_dense(n_observed: int, shape: tuple[int, int]) -> bool:
    """True where so many observed cells are better kept as a byte for each cell."""
    return n_observed > 0 and n_observed >= DENSE_FROM * shape[0] * shape[1]


def _coded(dense: NDArray[np.floating]) -> DenseCells | None:
    """A block (n, m) with NaN where unobserved as codes, or None where it has too many different scores."""
    n, m = dense.shape[0], dense.shape[1]
    book, codes = CodeBook(), np.empty((n, m), dtype=np.uint8)
    for rows in row_blocks(n, m, CELLS_IN_CACHE // 4):
        if (found := book.encode(_single(dense[rows]))) is None:
            return None
        codes[rows] = found
    return DenseCells(codes, book.finish(codes))


def _single(dense: NDArray[np.floating]) -> NDArray[np.float32]:
    """A block of scores as f32."""
    found = dense.astype(np.float32, copy=False)
    if np.isinf(found).any():
        raise DataError("a score is infinite; give NaN for a cell that was not evaluated")
    return found
