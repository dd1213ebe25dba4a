"""The dense matrix beside its records, so that opening a large dataset folder is mapping a file.

`scores.npy` (uint8 codes, n x m), `costs.npy` where there are costs, and `scores.json` with what the codes mean and the
SHA-256 of the records and ids they were made of. All three say nothing that `records.parquet` does not, and may be
removed; where the hashes differ they are ignored.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.data.cells import MAX_VALUES, DenseCells
from recroute.data.ids import IdMap
from recroute.data.matrix import InteractionMatrix, is_dense
from recroute.data.parquet_matrix import TwiceError, read_matrix
from recroute.data.reading import read_json
from recroute.errors import DataError
from recroute.util.files import sha256, write_json
from recroute.util.npz import map_npy

STORED_FROM = 1 << 20  # cells; below, reading the records takes no time
CODES, COSTS, MEANING = "scores.npy", "costs.npy", "scores.json"


def store_matrix(folder: Path, instances: IdMap, llms: IdMap) -> None:
    """Write the three files of a folder that has `records.parquet`.

    Raises DataError if a pair occurs twice.
    """
    try:
        matrix = read_matrix(folder / "records.parquet", instances, llms, folder / CODES, folder / COSTS)
    except TwiceError as twice:
        row, column = twice.cell
        raise DataError(twice_message(instances.ids[row], llms.ids[column], twice.n_extra)) from None
    cells = matrix.cells
    if not isinstance(cells, DenseCells):
        return
    if matrix.n_instances * matrix.n_llms < STORED_FROM or not is_dense(matrix.n_observed, cells.shape):
        for name in (CODES, COSTS):
            (folder / name).unlink(missing_ok=True)
        return
    for array in (cells.codes, cells.spent):
        if isinstance(array, np.memmap):
            array.flush()
    meaning = {"values": cells.values[1:].astype(np.float64).tolist(), "made_of": _made_of(folder, instances, llms)}
    write_json(folder / MEANING, meaning)


def stored_matrix(folder: Path, instances: IdMap, llms: IdMap) -> InteractionMatrix | None:
    """The matrix as mapped files; None where there are none, or they are not made of these records and ids."""
    if not (folder / MEANING).is_file():
        return None
    try:
        meaning = read_json(folder / MEANING)
        values = np.array([np.nan, *meaning["values"]], dtype=np.float32)
        if meaning["made_of"] != _made_of(folder, instances, llms):
            return None
        codes = _mapped(folder / CODES, np.uint8, (len(instances), len(llms)))
        spent = _mapped(folder / COSTS, np.float32, codes.shape) if (folder / COSTS).is_file() else None
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return None
    rising = len(values) <= 1 + MAX_VALUES and bool((values[1:-1] < values[2:]).all())
    if not rising or not ((values[1:] >= 0) & (values[1:] <= 1)).all() or int(codes.max(initial=0)) >= len(values):
        return None
    return InteractionMatrix(DenseCells(codes, values, spent))


def twice_message(instance: str, llm: str, n_extra: int) -> str:
    """What to say of a pair that occurs twice."""
    return (
        f"instance {instance!r} and llm {llm!r} occur twice ({n_extra} rows too many in all); keep one score for each "
        "pair"
    )


def _mapped(path: Path, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    array, _ = map_npy(path)
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"{path} is {array.dtype} {array.shape}")
    return array


def _made_of(folder: Path, instances: IdMap, llms: IdMap) -> dict[str, str]:
    ids = hashlib.sha256("\0".join([*instances, "", *llms]).encode("utf8", "surrogatepass")).hexdigest()
    return {"records": sha256(folder / "records.parquet"), "ids": ids}
