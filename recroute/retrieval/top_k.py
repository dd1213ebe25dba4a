"""The k best LLMs of each instance, equal scores by a stated rule."""

import numpy as np
from numpy.typing import NDArray

N_GROUPS = 256


def tie_order(llm_mean: NDArray[np.floating]) -> NDArray[np.int64]:
    """The rule for equal predicted scores: higher train mean first, then lower index.

    >>> tie_order(np.array([0.2, 0.7, 0.7]))
    array([1, 2, 0])
    """
    return np.lexsort((np.arange(len(llm_mean)), -np.asarray(llm_mean)))


def top_k(predicted: NDArray[np.float32], k: int, order: NDArray[np.int64]) -> NDArray[np.int32]:
    """Columns of the k largest values of each row, largest first; ties in the order of `order`.

    Parameters
    ----------
    predicted : f32 (b, m)
    k : int
    order : int (m,)
        Columns from most to least preferred among equals, see `tie_order`.

    Returns
    -------
    int32 (b, k)

    Examples
    --------
    >>> top_k(np.array([[0.5, 0.5, 0.1]]), 1, order=np.array([1, 0, 2]))
    array([[1]], dtype=int32)
    """
    ordered = predicted[:, order]  # ties now resolve by position
    if k == 1:
        return order[ordered.argmax(axis=1)[:, None]].astype(np.int32)
    if k < ordered.shape[1]:  # a sort of all would cost more than everything else
        last = -np.partition(-ordered, k - 1, axis=1)[:, [k - 1]]
        above, equal = ordered > last, ordered == last
        kept = above | (equal & (equal.cumsum(axis=1) <= k - above.sum(axis=1, keepdims=True)))
        columns = np.nonzero(kept)[1].reshape(len(ordered), k)
    else:
        columns = np.broadcast_to(np.arange(k), ordered.shape)
    best = np.argsort(-np.take_along_axis(ordered, columns, axis=1), axis=1, kind="stable")
    return order[np.take_along_axis(columns, best, axis=1)].astype(np.int32)


def least_of_top_k(predicted: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """A value for each row, f32 (b, 1), that its k largest do not fall below, and few others reach.

    The k-th largest among the maxima of groups of columns: a fraction of what the k-th largest of all costs.

    Examples
    --------
    >>> least_of_top_k(np.array([[0.5, 0.2, 0.1]], dtype=np.float32), 2)
    array([[0.2]], dtype=float32)
    """
    n = max(N_GROUPS, 8 * k)
    if (size := predicted.shape[1] // n) > 1:  # the columns that are left over may only raise the value
        predicted = predicted[:, : size * n].reshape(len(predicted), size, n).max(axis=1)
    at = predicted.shape[1] - k
    return np.partition(predicted, at, axis=1)[:, at : at + 1]
