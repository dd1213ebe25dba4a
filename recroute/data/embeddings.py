"""The vectors of a dataset folder: `embeddings.npz`, mapped into memory where they are large."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.ids import IdMap
from recroute.data.reading import reading
from recroute.errors import DataError
from recroute.util.mapped import ROWS_AT_ONCE, take_rows
from recroute.util.npz import read_npz

MAPPED_FROM = 1 << 26  # bytes of vectors; below, reading them takes no time
LARGEST_HALF = float(np.finfo(np.float16).max)


def read_embeddings(path: Path, instance_ids: IdMap) -> tuple[NDArray[np.floating], str]:
    """Vectors (n, d) of these instances, in their order, and the name of their encoder.

    From `MAPPED_FROM` bytes on, vectors that are not compressed are mapped (`MappedRows`).

    Raises
    ------
    DataError
        If the file is damaged, is not `instance_id, embedding[, encoder]`, or lacks an instance.
    """
    with reading(path, "embeddings"):
        arrays = read_npz(path, MAPPED_FROM)
    for name in ("instance_id", "embedding"):
        if name not in arrays:
            there = f"there: {', '.join(arrays)}" if arrays else "it holds none"
            raise DataError(f"{path} has no array {name!r} ({there}); write the file again")
    ids, vectors = arrays["instance_id"], arrays["embedding"]
    source = str(arrays["encoder"]) if "encoder" in arrays else "unnamed"
    if ids.dtype.kind in "iu":
        ids = ids.astype(np.str_)
    if ids.dtype.kind != "U" or ids.ndim != 1:
        raise DataError(f"instance_id is {ids.dtype} {ids.shape} in {path}, not a list of texts; write the file again")
    if vectors.ndim != 2 or len(ids) != len(vectors):
        raise DataError(
            f"{path} has {len(ids)} ids and vectors of shape {vectors.shape}; one row for each id is needed"
        )
    names = pl.concat([pl.Series(ids[rows].tolist(), dtype=pl.String) for rows in _blocks(len(ids))])
    if len(names) == len(instance_ids) and (names == instance_ids.column).all():  # as recroute writes them
        return vectors, source
    at = IdMap(names, "instance").places(instance_ids.column)
    if at.null_count():
        missing = instance_ids.column.filter(at.is_null())[0]
        raise DataError(f"{path} has no vector for instance {missing!r}; encode it or remove the file")
    return take_rows(vectors, at.to_numpy()), source


def write_embeddings(path: Path, instance_ids: IdMap, vectors: NDArray[Any], encoder: str, *, half: bool) -> None:
    """Write vectors (n, d) as f32, or with `half` as f16, some rows at a time; not compressed: they can be mapped."""
    width = instance_ids.column.str.len_chars().to_numpy().max(initial=1)
    texts, numbers = np.dtype(f"<U{width}"), np.dtype("<f2" if half else "<f4")
    blocks = _blocks(len(instance_ids))
    with zipfile.ZipFile(path, "w") as archive:
        ids = (np.array(instance_ids.column[rows].to_list(), texts) for rows in blocks)
        _write_member(archive, "instance_id", (len(instance_ids),), texts, ids)
        _write_member(archive, "embedding", vectors.shape, numbers, (vectors[rows].astype(numbers) for rows in blocks))
        name = np.array(encoder)
        _write_member(archive, "encoder", (), name.dtype, [name])


def refuse_beyond_16_bits(vectors: NDArray[Any], instance_ids: IdMap) -> None:
    """Raise DataError for a value that float16 cannot hold."""
    for rows in _blocks(len(vectors)):
        beyond = np.abs(vectors[rows]).max(axis=1) > LARGEST_HALF
        if beyond.any():
            row = rows.start + int(np.argmax(beyond))
            raise DataError(
                f"the embeddings: instance {instance_ids.column[row]!r} has a value beyond {LARGEST_HALF:,.0f}, the "
                "largest of float16; scale the vectors, or write float32"
            )


def _blocks(n: int) -> list[slice]:
    """Slices of rows that are read and written at a time; one, if there are no rows."""
    return [slice(start, start + ROWS_AT_ONCE) for start in range(0, max(n, 1), ROWS_AT_ONCE)]


def _write_member(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Iterable[NDArray[Any]]
) -> None:
    """Add an array, in the format of `numpy.savez`, to an archive."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(block.tobytes())
