"""`MappedRows`: a matrix that stays in its file and reads as an array f32."""

from __future__ import annotations

import mmap
import os
from typing import Any, BinaryIO
from weakref import finalize

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from recroute.errors import DataError

ROWS_AT_ONCE = 1 << 16


class MappedRows(NDArrayOperatorsMixin):
    """Some rows of a matrix in a memory-mapped file, f16 or f32 there, in place of an array f32 (n, d).

    Whatever is done with it as an array reads rows into memory, as f32, each time anew: those that are indexed, or all.
    `rows` reads nothing.

    Parameters
    ----------
    file : binary file
        It may be closed, replaced or removed afterwards; the mapping keeps the old content.
    start : int
        Where the matrix begins, in bytes.
    shape : (int, int)
    stored : numpy.dtype
        float16 or float32, as they are in the file.
    largest : float
        Largest magnitude in the file; NaN if it holds a NaN.
    """

    dtype, ndim = np.dtype(np.float32), 2

    def __init__(
        self, file: BinaryIO, start: int, shape: tuple[int, int], stored: np.dtype[Any], largest: float
    ) -> None:
        self.stored, self.largest = stored, float(largest)
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        bytes_of_rows = (shape[0], shape[1] * stored.itemsize)  # as bytes, which need no alignment
        self._content = np.ndarray(bytes_of_rows, np.uint8, buffer=content, offset=start)
        self._rows: Any = range(shape[0])  # or positions in the file, int (k,)
        self._name, self._handle = getattr(file, "name", "the file"), os.dup(file.fileno())
        self._state = self._status()
        finalize(self._content, os.close, self._handle)

    @property
    def shape(self) -> tuple[int, int]:
        """n, d."""
        return len(self._rows), self._content.shape[1] // self.stored.itemsize

    @property
    def size(self) -> int:
        """n * d."""
        return self.shape[0] * self.shape[1]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, int | np.integer):
            return self[np.array([range(len(self))[index]])][0]
        is_rows = isinstance(index, slice) or (isinstance(index, np.ndarray) and index.ndim == 1)
        return self.rows(index).read() if is_rows else self.read()[index]

    def rows(self, index: slice | NDArray[Any]) -> MappedRows:
        """The rows in a slice, or at positions int (k,), or where flags bool (n,) are set."""
        rows = self._rows
        if isinstance(rows, range) and not isinstance(index, slice):  # positions in the file
            rows = np.flatnonzero(index) if index.dtype == np.bool_ else index
            if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
                raise IndexError(f"{rows.min()} or {rows.max()} is not the position of one of {len(self)} rows")
            rows = self._rows.start + self._rows.step * rows
        else:
            rows = rows[index]
        taken = object.__new__(MappedRows)
        vars(taken).update(vars(self), _rows=rows)
        return taken

    def read(self, dtype: Any = np.float32) -> NDArray[Any]:
        """The rows in memory; DataError if the file was overwritten since it was opened."""
        found = np.empty(self.shape, dtype)
        for start in range(0, len(self), ROWS_AT_ONCE):
            self._refuse_overwritten()  # what is mapped beyond the end of a file cannot be read
            rows = self._rows[start : start + ROWS_AT_ONCE]
            is_run = isinstance(rows, range) and rows.step == 1
            part = self._content[rows.start : rows.stop] if is_run else self._content[np.asarray(rows)]
            found[start : start + ROWS_AT_ONCE] = part.view(self.stored)
        self._refuse_overwritten()
        return found

    def _refuse_overwritten(self) -> None:
        if self._status() != self._state:
            raise DataError(f"{self._name} was overwritten while its vectors were in use; read the data set again")

    def _status(self) -> tuple[int, int]:
        found = os.fstat(self._handle)
        return found.st_size, found.st_mtime_ns

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self.read(np.float32 if dtype is None else dtype)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return getattr(ufunc, method)(*(e.read() if isinstance(e, MappedRows) else e for e in inputs), **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.read(), name)

    def __reduce__(self) -> Any:
        return np.asarray, (self.read(),)


def take_rows(matrix: Any, index: NDArray[Any]) -> Any:
    """The rows of an array at these positions, in memory; those of `MappedRows` stay where they are."""
    return matrix.rows(index) if isinstance(matrix, MappedRows) else matrix[index]
