"""An interaction matrix from a Parquet file of records, some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.cells import TWICE, CodeBook, DenseCells, SparseCells, csr_from_coordinates
from recroute.data.ids import IdMap
from recroute.data.matrix import InteractionMatrix, is_dense
from recroute.data.numbers import is_text
from recroute.data.parquet_footer import sound_footer
from recroute.data.reading import reading
from recroute.data.schema import ID_COLUMNS, LARGEST
from recroute.errors import DataError

ROWS = 1 << 19  # that are read at a time
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
    if column not in sound_footer(path).names:
        raise NotPlainError
    with reading(path, "parquet"):
        values = _scan(path).select(_ids(path, column)).unique().collect(engine="streaming").to_series().cast(pl.String)
    if values.null_count() or (values == "").any():
        raise NotPlainError
    return IdMap(values.sort(), kind=column.removesuffix("_id"))


class _Records:
    """The records of a file as positions and values, some rows at a time, every value checked."""

    def __init__(self, path: Path, instances: IdMap, llms: IdMap) -> None:
        self.path, self.ids = path, (instances, llms)
        self.shape = (len(instances), len(llms))
        names, self.n_rows, _ = sound_footer(path)
        self.has_costs = "cost" in names
        if self.n_rows == 0 or not {*ID_COLUMNS, "score"} <= set(names):
            raise NotPlainError

    def __iter__(self) -> Iterator[Part]:
        with reading(self.path, "parquet"):
            columns = [_ids(self.path, name) for name in ID_COLUMNS]
            columns += [_numbers(self.path, name) for name in ("score", *(["cost"] if self.has_costs else []))]
            places: list[Callable[[pl.Series], NDArray[np.int32]]] = []
            table = _scan(self.path).select(columns)
            for name, ids in zip(ID_COLUMNS, self.ids, strict=True):
                if isinstance(table.collect_schema()[name], pl.Categorical):
                    places.append(_Coded(ids))
                    continue
                known = pl.LazyFrame({name: ids.column}).with_row_index(f"{name}_at")
                table = table.join(known, on=name, how="left", maintain_order="left").drop(name)
                places.append(_joined)
            table = table.rename({f"{name}_at": name for name in ID_COLUMNS}, strict=False)
            for part in table.collect_batches(chunk_size=ROWS, maintain_order=True):
                rows, llms = (place(part[name]) for name, place in zip(ID_COLUMNS, places, strict=True))
                scores = part["score"].to_numpy()
                if not ((scores >= 0) & (scores <= 1)).all():
                    raise NotPlainError
                costs = part["cost"].to_numpy() if self.has_costs else None
                if costs is not None and ((costs < 0).any() or (costs > LARGEST).any()):
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


def _scan(path: Path) -> pl.LazyFrame:
    return pl.scan_parquet(path, glob=False, hive_partitioning=False)


def _ids(path: Path, column: str) -> pl.Expr:
    """A column of ids, dictionary-coded or as text; NotPlainError if it is neither."""
    kind = pl.read_parquet_schema(path)[column]
    if not is_text(kind):
        raise NotPlainError
    return pl.col(column) if isinstance(kind, pl.Categorical) else pl.col(column).cast(pl.String)


def _joined(found: pl.Series) -> NDArray[np.int32]:
    """Positions that a join found; NotPlainError for an id that is missing or unknown."""
    if found.null_count():
        raise NotPlainError
    return found.cast(pl.Int32).to_numpy()


class _Coded:
    """Positions of dictionary-coded ids: each code is looked up once; NotPlainError as `_joined`."""

    def __init__(self, ids: IdMap) -> None:
        self.ids, self.place = ids, np.empty(0, dtype=np.int32)

    def __call__(self, column: pl.Series) -> NDArray[np.int32]:
        if column.null_count():
            raise NotPlainError
        codes = column.to_physical().to_numpy()
        lacking = (int(codes.max()) + 1 if len(codes) else 0) - len(self.place)
        self.place = np.append(self.place, np.full(max(lacking, 0), -1, dtype=np.int32))
        if (new := np.flatnonzero(self.place[codes] < 0)).size:
            _, first = np.unique(codes[new], return_index=True)
            at = new[first]
            self.place[codes[at]] = _joined(self.ids.places(column.gather(at).cast(pl.String)))
        return self.place[codes]


def _numbers(path: Path, column: str) -> pl.Expr:
    """A column as f32, NaN where missing."""
    kind = pl.read_parquet_schema(path)[column]
    if not (kind.is_float() or kind.is_integer() or kind == pl.Boolean):
        raise NotPlainError
    return pl.col(column).cast(pl.Float32).fill_null(np.nan)
