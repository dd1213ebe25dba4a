"""Work that does not depend on the LLMs is done once: pools, folds and routers share their prompts."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class Memo(Generic[T]):
    """A pure function of arrays that remembers its latest results, by the content of the arrays.

    Parameters
    ----------
    compute : callable
    max_cells : int
        Results are forgotten, oldest first, once the arrays they came from have more cells together; so memory stays
        bounded, and a larger array is never remembered.
    """

    def __init__(self, compute: Callable[..., T], max_cells: int) -> None:
        self._compute = compute
        self._max_cells = max_cells
        self._kept: OrderedDict[str, tuple[int, T]] = OrderedDict()

    def __call__(self, *arrays: NDArray[Any]) -> T:
        key = _digest(arrays)
        if (kept := self._kept.get(key)) is not None:  # one look-up: another thread may forget it in between
            return kept[1]
        found = self._compute(*arrays)
        self._kept[key] = (sum(array.size for array in arrays), found)
        while sum(size for size, _ in list(self._kept.values())) > self._max_cells:
            self._kept.popitem(last=False)
        return found


def _digest(arrays: tuple[NDArray[Any], ...]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()
