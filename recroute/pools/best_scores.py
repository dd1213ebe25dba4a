"""Fast computation of the oracle scores of many pools on the same instances."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recroute.data import InteractionMatrix
from recroute.data.cells import DenseCells

Block = NDArray[Any]


class BestScores:
    """Oracle scores (mean over instances of the best score) of sets of LLMs.

    Scores of 0 and 1 are packed into bits, 64 instances per word, and the LLMs of a pool are combined with a bitwise
    or. Graded scores are combined with a maximum. Both are exact.

    Parameters
    ----------
    matrix : InteractionMatrix (n, e)
        Unobserved cells count as 0.

    Examples
    --------
    >>> best = BestScores(InteractionMatrix.from_dense([[1, 0, 0], [0, 0, 1]]))
    >>> best.of([0, 1]), best.windows(0, 3, size=2)
    (0.5, array([0.5, 0.5]))
    """

    def __init__(self, matrix: InteractionMatrix) -> None:
        self.n_instances, self.n_llms = matrix.n_instances, matrix.n_llms
        levels, self._values = levels_of(matrix)
        if self._values is None:
            solved = levels == 1
            self.binary = bool((solved | (levels == 0)).all())
        else:
            solved = levels == 1 + np.searchsorted(self._values[1:], 1)
            self.binary = bool(np.isin(self._values, (0, 1)).all())
        self._block: Block = _packed(solved) if self.binary else np.ascontiguousarray(levels.T)  # (e, words) or (e, n)
        self._join: np.ufunc = np.bitwise_or if self.binary else np.maximum

    def of(self, llm_index: Any) -> float:
        """Oracle score of the LLMs at these positions, int (m,)."""
        return float(self._means(self._join.reduce(self._block[llm_index], axis=0)[None])[0])

    def windows(self, start: int, stop: int, size: int) -> NDArray[np.float64]:
        """Oracle scores f64 (stop - start - size + 1,) of all windows of `size` adjacent LLMs between start and stop.

        Windows of 1, 2, 4, ... LLMs are combined from two of half the length, and those of `size` from two that
        overlap, so the cost grows with the logarithm of `size`.
        """
        joined, length = self._block[start:stop], 1
        while 2 * length <= size:
            joined = self._join(joined[:-length], joined[length:])
            length *= 2
        if (rest := size - length) > 0:
            joined = self._join(joined[:-rest], joined[rest:])
        return self._means(joined)

    def _means(self, joined: Block) -> NDArray[np.float64]:
        """Mean over instances, f64 (k,), of combined rows (k, words) or (k, n)."""
        if self.binary:
            joined = np.bitwise_count(joined).astype(np.int64)
            return np.asarray(joined.sum(axis=1) / self.n_instances)
        scores = joined if self._values is None else self._values.take(joined, mode="clip")
        return scores.mean(axis=1, dtype=np.float64)


def levels_of(matrix: InteractionMatrix) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    """Numbers (n, m) in the order of the scores, lowest where unobserved, and the scores that they represent.

    Either codes uint8 and their values f32 (v,), with 0 for unobserved cells, or the scores f32 and None.
    """
    if isinstance(matrix.cells, DenseCells):
        return matrix.cells.codes, np.nan_to_num(matrix.cells.values)
    return np.nan_to_num(matrix.dense()), None


def _packed(solved: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Columns of bool (n, e) as bits, uint64 (e, ceil(n / 64))."""
    n, e = solved.shape
    n_bytes = -(-n // 64) * 8
    if solved.flags.f_contiguous:
        bits = np.zeros((e, n_bytes), dtype=np.uint8)
        bits[:, : -(-n // 8)] = np.packbits(solved.T, axis=1)
        return bits.view(np.uint64)
    bits = np.zeros((n_bytes, e), dtype=np.uint8)
    for bit in range(8):  # np.packbits along this axis would take ten times as long
        rows = solved[bit::8].view(np.uint8)
        bits[: len(rows)] |= rows << np.uint8(bit)
    return np.ascontiguousarray(bits.T).view(np.uint64)
