"""Names for array types, and divisions and means that are NaN where there is nothing to divide by."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Index = NDArray[np.int64]
Positions = NDArray[np.integer]
AnyArray = NDArray[Any]


class Weights(Protocol):
    """Weights (b, n) of n values in each of b sums: an array, or what remembers its products."""

    def __len__(self) -> int: ...
    def __matmul__(self, values: Array, /) -> Array: ...


def ratio(above: NDArray[np.number], below: NDArray[np.number], otherwise: float = np.nan) -> Array:
    """`above / below` elementwise with broadcasting, f64; `otherwise` where `below` is not positive.

    >>> ratio(np.array([1, 1]), np.array([2, 0]))
    array([0.5, nan])
    """
    out = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), float(otherwise))
    return np.divide(above, below, out=out, where=below > 0)


def known_mean(values: ArrayLike, weights: Weights | None = None) -> Array:
    """Weighted means over the first axis that leave out NaN; NaN where every value is.

    Parameters
    ----------
    values : float (n,) or (n, p)
    weights : float (b, n), or what stands for it, optional
        A row for each of b means, such as the counts of a bootstrap resample. Default: one row of ones.

    Returns
    -------
    f64 (b,) or (b, p)

    Examples
    --------
    >>> known_mean(np.array([1.0, np.nan, 0.0]))
    array([0.5])
    >>> known_mean(np.array([1.0, np.nan, 0.0]), weights=np.array([[1, 1, 1], [3, 0, 1]]))
    array([0.5 , 0.75])
    """
    table = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(table)
    if weights is None:
        weights = np.ones((1, len(table)))
    mass = weights @ known.astype(np.float64)  # (b, n) x (n, ...)
    return ratio(weights @ np.where(known, table, 0.0), mass)


def evenly(n: int, most: int = 2000) -> Index:
    """At most `most` of n positions, evenly spread, int (k,).

    >>> evenly(5, 3)
    array([0, 2, 4])
    """
    return np.arange(0, n, -(-n // most) or 1)
