"""The two layouts behind an interaction matrix: a byte for each cell, or the observed cells only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import scipy
from numpy.typing import NDArray

from recroute.errors import DataError
from recroute.util.numeric import Positions
from recroute.util.threads import Item, Part, in_order

MAX_VALUES = 255  # of a code book: 256 codes less the one that means "unobserved"
FEW_VALUES = 8  # comparing with each of so many is faster than to look a score up
CELLS_AT_ONCE = 1 << 23
CELLS_IN_CACHE = 1 << 19  # blocks of this size stay in the processor's cache from one operation to the next
TWICE = "an interaction matrix needs cells without duplicates; keep one score for each instance and LLM"


class Cells(Protocol):
    """What a layout can do; `InteractionMatrix` says what each of these means."""

    @property
    def shape(self) -> tuple[int, int]: ...
    def instance_counts(self) -> NDArray[np.int64]: ...
    def llm_counts(self) -> NDArray[np.int64]: ...
    def take_instances(self, index: Positions | slice) -> Self: ...
    def take_llms(self, index: Positions) -> Self: ...
    def dense(self) -> NDArray[np.float32]: ...
    def block(self, rows: slice | Positions) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
    def scores(self) -> scipy.sparse.csr_matrix: ...
    def costs(self) -> scipy.sparse.csr_matrix | None: ...
    def dense_costs(self) -> NDArray[np.float32] | None: ...


@dataclass(frozen=True, eq=False)
class DenseCells:
    """A byte for each cell, and what it stands for.

    Parameters
    ----------
    codes : uint8 (n, m)
        Position of the cell's score in `values`; may be memory-mapped.
    values : f32 (v,)
        NaN, the value of code 0 (unobserved), then at most 255 scores in rising order: the larger code is the
        better score.
    spent : f32 (n, m), optional
        USD per answer; NaN where unobserved or unknown.
    """

    codes: NDArray[np.uint8]
    values: NDArray[np.float32]
    spent: NDArray[np.float32] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return self.codes.shape[0], self.codes.shape[1]

    def instance_counts(self) -> NDArray[np.int64]:
        return np.count_nonzero(self.codes, axis=1).astype(np.int64)

    def llm_counts(self) -> NDArray[np.int64]:
        counts = np.zeros(self.shape[1], dtype=np.int64)
        for rows in row_blocks(*self.shape):
            counts += np.count_nonzero(self.codes[rows], axis=0)
        return counts

    def take_instances(self, index: Positions | slice) -> DenseCells:
        return DenseCells(self.codes[index], self.values, None if self.spent is None else self.spent[index])

    def take_llms(self, index: Positions) -> DenseCells:
        def taken(array: NDArray[Any]) -> NDArray[Any]:
            return np.take(array, index, axis=1)

        return DenseCells(taken(self.codes), self.values, None if self.spent is None else taken(self.spent))

    def dense(self) -> NDArray[np.float32]:
        if not self._is_binary:
            return self.values.take(self.codes, mode="clip")  # without a check of each code: half the time
        scores = self._successes(self.codes)
        np.copyto(scores, np.nan, where=self.codes == 0)
        return scores

    def block(self, rows: slice | Positions) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        codes = self.codes[rows]
        scores = self._successes(codes) if self._is_binary else np.nan_to_num(self.values).take(codes, mode="clip")
        return scores, (codes != 0).astype(np.float32)

    @property
    def _is_binary(self) -> bool:
        """Whether all scores are 0 or 1; a comparison then decodes them several times as fast as a table."""
        return self.values[1:].tolist() == [0, 1]

    @staticmethod
    def _successes(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        return (codes == 2).astype(np.float32)

    def scores(self) -> scipy.sparse.csr_matrix:
        return self._stored(lambda rows, seen: self.values[self.codes[rows][seen]])

    def costs(self) -> scipy.sparse.csr_matrix | None:
        if (spent := self.spent) is None:
            return None
        return self._stored(lambda rows, seen: spent[rows][seen])

    def dense_costs(self) -> NDArray[np.float32] | None:
        return self.spent

    def _stored(self, of_rows: Any) -> scipy.sparse.csr_matrix:
        indptr = np.concatenate([[0], np.cumsum(self.instance_counts())])
        indices = np.empty(indptr[-1], dtype=np.int32)
        data = np.empty(indptr[-1], dtype=np.float32)
        for rows in row_blocks(*self.shape):
            seen = self.codes[rows] != 0
            cells = slice(indptr[rows.start], indptr[rows.stop])
            indices[cells] = np.nonzero(seen)[1]
            data[cells] = of_rows(rows, seen)
        return _canonical(data, indices, indptr, self.shape)


@dataclass(frozen=True, eq=False)
class SparseCells:
    """The observed cells only, as SciPy's CSR.

    Parameters
    ----------
    stored : csr_matrix f32 (n, m)
        Scores; zeros are stored.
    spent : csr_matrix f32 (n, m), optional
        USD per answer in the same cells; NaN where unknown.

    Raises
    ------
    DataError
        If cells are not sorted or occur twice, or the costs are stored in other cells than the scores.
    """

    stored: scipy.sparse.csr_matrix
    spent: scipy.sparse.csr_matrix | None = None

    def __post_init__(self) -> None:
        if not self.stored.has_canonical_format:
            raise DataError("an interaction matrix needs sorted cells without duplicates; use from_coordinates")
        if self.spent is not None and self.spent.nnz != self.stored.nnz:
            raise DataError("scores and costs have to be stored in the same cells")

    @property
    def shape(self) -> tuple[int, int]:
        return int(self.stored.shape[0]), int(self.stored.shape[1])

    def instance_counts(self) -> NDArray[np.int64]:
        return np.diff(self.stored.indptr).astype(np.int64)

    def llm_counts(self) -> NDArray[np.int64]:
        return np.bincount(self.stored.indices, minlength=self.shape[1]).astype(np.int64)

    def take_instances(self, index: Positions | slice) -> SparseCells:
        return SparseCells(self.stored[index], None if self.spent is None else self.spent[index])

    def take_llms(self, index: Positions) -> SparseCells:
        return SparseCells(_columns(self.stored, index), None if self.spent is None else _columns(self.spent, index))

    def dense(self) -> NDArray[np.float32]:
        return _filled(self.stored)

    def block(self, rows: slice | Positions) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        stored = self.stored[rows]
        scores, observed = np.zeros(stored.shape, dtype=np.float32), np.zeros(stored.shape, dtype=np.float32)
        row = np.repeat(np.arange(stored.shape[0]), np.diff(stored.indptr))
        scores[row, stored.indices] = stored.data
        observed[row, stored.indices] = 1
        return scores, observed

    def scores(self) -> scipy.sparse.csr_matrix:
        return self.stored

    def costs(self) -> scipy.sparse.csr_matrix | None:
        return self.spent

    def dense_costs(self) -> NDArray[np.float32] | None:
        return None if self.spent is None else _filled(self.spent)


def row_blocks(n: int, m: int, at_once: int = CELLS_AT_ONCE) -> list[slice]:
    """Slices of the n rows of a matrix of m columns, some `at_once` cells each."""
    step = max(1, at_once // max(m, 1))
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]


def csr_from_coordinates(
    rows: Positions, columns: Positions, values: list[NDArray[np.float32]], shape: tuple[int, int]
) -> list[scipy.sparse.csr_matrix]:
    """CSR matrices with `values` f32 (k,) in the same cells; stored zeros stay, no cell may occur twice."""
    cell = rows.astype(np.int64) * shape[1] + columns
    order = None if (cell[1:] > cell[:-1]).all() else np.argsort(cell, kind="stable")
    if order is not None:
        cell = cell[order]
        if (cell[1:] == cell[:-1]).any():
            raise DataError(TWICE)
    del cell
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=shape[0]))])
    indices = columns.astype(np.int32) if order is None else columns[order].astype(np.int32)
    return [_canonical(v if order is None else v[order], indices, indptr, shape) for v in values]


def indicators(scores: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
    """CSR f64 with 1 in each stored cell, zeros included."""
    return scipy.sparse.csr_matrix((np.ones(scores.nnz), scores.indices, scores.indptr), shape=scores.shape)


def _canonical(
    data: NDArray[np.float32], indices: NDArray[np.int32], indptr: Positions, shape: tuple[int, int]
) -> scipy.sparse.csr_matrix:
    matrix = scipy.sparse.csr_matrix((data, indices, indptr), shape=shape)
    matrix.has_canonical_format = True
    return matrix


def _filled(matrix: scipy.sparse.csr_matrix) -> NDArray[np.float32]:
    """A block f32 (n, m), NaN where nothing is stored."""
    block = np.full(matrix.shape, np.nan, dtype=np.float32)
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    block[rows, matrix.indices] = matrix.data
    return block


def _columns(matrix: scipy.sparse.csr_matrix, index: Positions) -> scipy.sparse.csr_matrix:
    """Columns of a CSR matrix, sorted within rows; scipy keeps stored zeros here (a test holds it to that)."""
    taken = matrix[:, np.asarray(index)]
    taken.sort_indices()
    taken.has_canonical_format = True
    return taken


class CodeBook:
    """The distinct scores seen so far, each with a code from 1 on in the order they came; 0 is "unobserved".

    >>> book = CodeBook()
    >>> book.encode(np.array([1, 0, 1], dtype=np.float32)), book.encode(np.array([0.5], dtype=np.float32))
    (array([2, 1, 2], dtype=uint8), array([3], dtype=uint8))
    """

    def __init__(self) -> None:
        self._found = np.empty(0, dtype=np.float32)  # in the order they came
        self._sort()

    def encode(self, scores: NDArray[np.floating]) -> NDArray[np.uint8] | None:
        """Codes uint8 of f32 scores of any shape, 0 for NaN; None where there are more than 255 values."""
        scores = scores.astype(np.float32, copy=False)
        while True:
            codes = self._known(scores)
            unknown = scores[(codes == 0) & ~np.isnan(scores)]
            if unknown.size == 0:
                return codes
            self._found = np.append(self._found, np.unique(unknown[: 1 << 16]))
            if len(self._found) > MAX_VALUES:
                return None
            self._sort()

    def _known(self, scores: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Codes of the scores seen so far, 0 for all others."""
        if len(self._found) > FEW_VALUES:
            place = np.searchsorted(self._rising[:-1], scores)
            return np.where(self._rising[place] == scores, self._code[place], np.uint8(0))
        codes = np.zeros(scores.shape, dtype=np.uint8)
        for code, value in enumerate(self._found, start=1):
            codes += (scores == value) * np.uint8(code)
        return codes

    def _sort(self) -> None:
        order = np.argsort(self._found)
        self._rising = np.append(self._found[order], np.float32(np.inf))
        self._code = np.append(order + 1, 0).astype(np.uint8)

    def finish(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Put codes (n, m) in rising order of their scores, in place; the values f32 (v,), NaN for code 0 first."""
        values = np.append(np.float32(np.nan), np.sort(self._found))
        rank = np.zeros(len(values), dtype=np.uint8)
        rank[1:] = np.argsort(np.argsort(self._found)) + 1
        if (rank != np.arange(len(rank))).any():
            for rows in row_blocks(*codes.shape):
                codes[rows] = rank.take(codes[rows], mode="clip")
        return values


def pass_over(shape: tuple[int, int], work: Callable[[slice], Part]) -> Iterator[Part]:
    """What `work` makes of each block of rows of a matrix (n, m), in their order, see `shared_out`."""
    return shared_out(shape, row_blocks(*shape, CELLS_IN_CACHE), work)


def shared_out(shape: tuple[int, int], items: Sequence[Item], work: Callable[[Item], Part]) -> Iterator[Part]:
    """`in_order` for parts of a matrix (n, m); in one thread if it is small, as starting more would take longer."""
    return map(work, items) if shape[0] * shape[1] <= CELLS_AT_ONCE else in_order(items, work)
