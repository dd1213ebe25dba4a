"""The k best LLMs of each instance, equal scores by a stated rule."""

import numpy as np
from numpy.typing import NDArray


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
    best = ordered.argmax(axis=1)[:, None] if k == 1 else np.argsort(-ordered, axis=1, kind="stable")[:, :k]
    return order[best].astype(np.int32)
