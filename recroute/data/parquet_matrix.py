"""An interaction matrix from a Parquet file of records, a row group at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recroute.data.cells import TWICE, CodeBook, DenseCells, SparseCells, csr_from_coordinates
from recroute.data.ids import IdMap
from recroute.data.matrix import InteractionMatrix, is_dense
from recroute.data.reading import parquet_file
from recroute.data.schema import ID_COLUMNS, LARGEST
from recroute.errors import DataError

Part = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32], NDArray[np.float32] | None]


class NotPlainError(Exception):
    """The file is not what the fast way reads: something is wrong in it, or it has another form."""


class TwiceError(Exception):
    """A cell occurs twice: `cell` is the first one found, `n_extra` counts the rows too many."""

    def __init__(self, cell: tuple[int, int], n_extra: int) -> None:
        super().__init__(TWICE)
        self.cell, self.n_extra = cell, n_extra


def read_matrix(
    path: Path, instances: IdMap, llms: IdMap, codes_at: Path | None = None, costs_at: Path | None = None
) -> InteractionMatrix:
    """The matrix of all records in a file.

    Parameters
    ----------
    path : Path
        `instance_id, llm_id, score` and, if known, `cost`, as `Records` describes them.
    instances, llms : IdMap
        The rows and columns; every id of the file is among them.
    codes_at, costs_at : Path, optional
        Where the dense layout is to lie, as `.npy` files that are mapped into memory; default: in memory.

    Raises
    ------
    NotPlainError
        If the file breaks one of those rules; `Records` says which. Nothing is left at `codes_at` then.
    TwiceError
        If a pair occurs twice.
    """
    records = _Records(path, instances, llms)
    if is_dense(records.n_rows, records.shape):
        matrix = _read_dense(records, codes_at, costs_at)
        if matrix is not None:
            return matrix
    parts = list(records)
    rows, columns, scores = (np.concatenate([part[i] for part in parts]) for i in range(3))
    costs = [part[3] for part in parts if part[3] is not None]
    values = [scores, np.concatenate(costs)] if costs else [scores]
    parts.clear()
    try:
        return InteractionMatrix(SparseCells(*csr_from_coordinates(rows, columns, values, records.shape)))
    except DataError:  # a cell occurs twice
        raise NotPlainError from None


def distinct_ids(path: Path, column: str) -> IdMap:
    """The ids of a column in alphabetical order; NotPlainError if they are no text or missing."""
    found: set[str] = set()
    with _opened(path, [column]) as file:
        for group in range(file.num_row_groups):
            for chunk in file.read_row_group(group, columns=[column]).column(0).chunks:
                found.update(_dictionary(chunk).dictionary.to_pylist())
    if None in found or "" in found:
        raise NotPlainError
    return IdMap(tuple(sorted(found)), kind=column.removesuffix("_id"))


class _Records:
    """The records of a file as positions and values, a row group at a time, every value checked."""

    def __init__(self, path: Path, instances: IdMap, llms: IdMap) -> None:
        self.path, self.ids = path, (instances, llms)
        self.shape = (len(instances), len(llms))
        with _opened(path, [*ID_COLUMNS, "score"]) as file:
            self.n_rows = file.metadata.num_rows
            self.has_costs = "cost" in file.schema_arrow.names
        if self.n_rows == 0:
            raise NotPlainError

    def __iter__(self) -> Iterator[Part]:
        columns = [*ID_COLUMNS, "score", *(["cost"] if self.has_costs else [])]
        with _opened(self.path, columns) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=columns)
                rows, llms = (_positions(table[name], ids) for name, ids in zip(ID_COLUMNS, self.ids, strict=True))
                scores = _numbers(table["score"])
                if not ((scores >= 0) & (scores <= 1)).all():
                    raise NotPlainError
                costs = None
                if self.has_costs:
                    costs = _numbers(table["cost"])
                    if (costs < 0).any() or (costs > LARGEST).any():
                        raise NotPlainError
                yield rows, llms, scores + np.float32(0), costs  # no negative zero


def _read_dense(records: _Records, codes_at: Path | None, costs_at: Path | None) -> InteractionMatrix | None:
    """The dense layout; None, and no files, where there are too many different scores for it."""
    n, m = records.shape
    book, codes = CodeBook(), _empty((n, m), np.uint8, codes_at)
    spent = _empty((n, m), np.float32, costs_at) if records.has_costs else None
    if spent is not None:
        spent[:] = np.nan
    flat, twice = codes.reshape(-1), None
    for rows, llms, scores, costs in records:
        if (found := book.encode(scores)) is None:
            del flat, codes, spent
            for place in (codes_at, costs_at):
                if place is not None:
                    place.unlink(missing_ok=True)
            return None
        cell = rows.astype(np.int64) * m + llms
        twice = twice or _twice(cell, flat, m)
        flat[cell] = found
        if spent is not None:
            spent.reshape(-1)[cell] = costs
    if (n_extra := records.n_rows - int(np.count_nonzero(codes))) and twice is not None:
        raise TwiceError(twice, n_extra)
    return InteractionMatrix(DenseCells(codes, book.finish(codes), spent))


def _twice(cell: NDArray[np.int64], flat: NDArray[np.uint8], m: int) -> tuple[int, int] | None:
    """A cell of these that was seen before, or stands among them twice."""
    again = cell[flat[cell] != 0]
    if len(again) == 0 and not (cell[1:] > cell[:-1]).all():
        ordered = np.sort(cell)
        again = ordered[1:][ordered[1:] == ordered[:-1]]
    return (int(again[0]) // m, int(again[0]) % m) if len(again) else None


def _empty(shape: tuple[int, int], dtype: Any, place: Path | None) -> NDArray[Any]:
    if place is None:
        return np.zeros(shape, dtype=dtype)
    return np.lib.format.open_memmap(place, mode="w+", dtype=dtype, shape=shape)


@contextmanager
def _opened(path: Path, needed: list[str]) -> Iterator[pq.ParquetFile]:
    with parquet_file(path, dictionary=ID_COLUMNS) as file:
        if not set(needed) <= set(file.schema_arrow.names):
            raise NotPlainError
        yield file


def _dictionary(chunk: pa.Array) -> pa.DictionaryArray:
    chunk.validate(full=True)
    kind = chunk.type
    if not (
        pa.types.is_dictionary(kind)
        and (pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type))
    ):
        raise NotPlainError
    if chunk.null_count:
        raise NotPlainError
    return chunk


def _positions(column: pa.ChunkedArray, ids: IdMap) -> NDArray[np.int32]:
    parts = []
    for chunk in column.chunks:
        coded = _dictionary(chunk)
        try:
            of_code = np.array([ids.position(value) for value in coded.dictionary.to_pylist()], dtype=np.int32)
        except KeyError:
            raise NotPlainError from None
        parts.append(of_code[coded.indices.to_numpy(zero_copy_only=False)])
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)


def _numbers(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """As f32, NaN where missing."""
    kind = column.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        raise NotPlainError
    return pc.cast(column, pa.float32(), safe=False).to_numpy()
