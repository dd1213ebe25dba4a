"""Vectors of prompts as everything here takes them: real numbers that 32 bits hold, a row for each prompt."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recroute.data.schema import LARGEST
from recroute.errors import DataError, RecrouteError


def as_vectors(
    values: ArrayLike,
    what: str,
    row_name: Callable[[int], str] = lambda row: f"vector {row}",
    error: type[RecrouteError] = DataError,
) -> NDArray[np.float32]:
    """Vectors f32 (b, d) from an array of floats or integers.

    Parameters
    ----------
    values : float or int (b, d)
    what : str
        What messages call them, such as "the vectors of records".
    row_name : callable
        What messages call one row.
    error : class of RecrouteError
        What is raised.

    Raises
    ------
    RecrouteError
        If they have no two dimensions or no width, hold anything but real numbers, or a value that is not finite or too
        large for 32 bits.

    Examples
    --------
    >>> as_vectors([[1, 2]], "the vectors")
    array([[1., 2.]], dtype=float32)
    """
    try:
        given = np.asarray(values)
    except ValueError:  # rows of different lengths
        raise error(f"{what} differ in length; give an array f32 (n, d)") from None
    if given.dtype.kind not in "fiu":
        raise error(f"{what} are {given.dtype}, not real numbers; give an array f32 (n, d)")
    if given.ndim != 2 or given.shape[1] == 0:
        raise error(f"{what} have the shape {given.shape}; give an array f32 (n, d), one row for each prompt")
    with np.errstate(over="ignore", invalid="ignore"):
        vectors: NDArray[np.float32] = given.astype(np.float32, copy=False)
    good = (vectors >= -LARGEST) & (vectors <= LARGEST)  # NaN is neither
    if not good.all():
        row = int(np.flatnonzero(~good.all(axis=1))[0])
        value = given[row][~good[row]][0]
        why = "too large for 32 bits; scale the vectors" if np.isfinite(value) else "not finite; encode it again"
        raise error(f"{what}: {row_name(row)} has a value that is {why} (it is {value:g})")
    return vectors
