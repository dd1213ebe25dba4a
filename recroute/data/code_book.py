"""Scores as codes of one byte, found as they come."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recroute.data.cells import MAX_VALUES, row_blocks


class CodeBook:
    """The distinct scores seen so far, each with a code from 1 on in the order they came; 0 is "unobserved".

    >>> book = CodeBook()
    >>> book.encode(np.array([1, 0, 1], dtype=np.float32)), book.encode(np.array([0.5], dtype=np.float32))
    (array([2, 1, 2], dtype=uint8), array([3], dtype=uint8))
    """

    def __init__(self) -> None:
        self._found = np.empty(0, dtype=np.float32)  # in the order they came
        self._sort()

    def encode(self, scores: NDArray[np.floating]) -> NDArray[np.uint8] | None:
        """Codes uint8 of f32 scores of any shape, which may not be NaN; None where there are more than 255 values."""
        scores = scores.astype(np.float32, copy=False)
        while True:
            place = np.searchsorted(self._rising[:-1], scores)
            unknown = scores[self._rising[place] != scores]
            if unknown.size == 0:
                return self._code[place]
            self._found = np.append(self._found, np.unique(unknown[: 1 << 16]))
            if len(self._found) > MAX_VALUES:
                return None
            self._sort()

    def _sort(self) -> None:
        order = np.argsort(self._found)
        self._rising = np.append(self._found[order], np.float32(np.inf))
        self._code = np.append(order + 1, 0).astype(np.uint8)

    def finish(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Put codes (n, m) in rising order of their scores, in place; the values f32 (v,), NaN for code 0 first."""
        values = np.append(np.float32(np.nan), np.sort(self._found))
        rank = np.zeros(len(values), dtype=np.uint8)
        rank[1:] = np.argsort(np.argsort(self._found)) + 1
        if (rank != np.arange(len(rank))).any():
            for rows in row_blocks(*codes.shape):
                codes[rows] = rank.take(codes[rows], mode="clip")
        return values
