"""What the arrays of a saved interaction matrix have to be."""

from __future__ import annotations

import numpy as np

from recroute.data.cells import MAX_VALUES
from recroute.errors import DataError
from recroute.util.arrays import ArrayRule, Arrays

CODED = {
    "codes": ArrayRule(shape=("n_rows", "n_columns?"), kind="code"),
    "values": ArrayRule(shape=("n_values",), low=0, high=1, allow=("nan",)),
}
SPARSE = {
    "data": ArrayRule(shape=("n_cells?",), low=0, high=1),
    "indices": ArrayRule(shape=("n_cells?",), kind="int", low=0),
    "indptr": ArrayRule(shape=("n_rows+1",), kind="int", low=0),
    "shape": ArrayRule(shape=("2",), kind="int", low=0),
}


def refuse_codes(arrays: Arrays) -> None:
    """Raise DataError unless each code has a score, and the scores rise."""
    codes, values = arrays["codes"], arrays["values"]
    rising = len(values) <= 1 + MAX_VALUES and np.isnan(values[:1]).all() and (values[1:-1] < values[2:]).all()
    if not rising or np.isnan(values[1:]).any() or int(codes.max(initial=0)) >= len(values):
        raise DataError("the codes of its scores do not fit their values")


def refuse_csr(arrays: Arrays) -> None:
    """Raise DataError unless the cells lie in the matrix, row by row, none twice."""
    data, columns, ends, (n, m) = (arrays[name] for name in SPARSE)
    rising = len(ends) == n + 1 and ends[0] == 0 and ends[-1] == len(data) and (ends[:-1] <= ends[1:]).all()
    if not rising or (len(columns) and int(columns.max()) >= m):
        raise DataError("the cells of its scores do not fit their matrix")
    cell = np.repeat(np.arange(n), np.diff(ends)) * np.int64(m) + columns
    if not (cell[:-1] < cell[1:]).all():
        raise DataError("the cells of its scores are not in order, or occur twice")
