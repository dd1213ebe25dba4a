"""Cache of results that depend on prompts only, shared by pools, folds and routers."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, TypeVar
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class Memo(Generic[T]):
    """A pure function of arrays with a cache of its latest results, by the content of the arrays.

    Parameters
    ----------
    compute : callable, optional
        The function; None if only `get` is used.
    max_cells : int
        Bound on the total number of cells of the arrays whose results are kept; the oldest results are dropped first.
        The result for an array with more cells is never kept. See `room`.
    """

    times: ClassVar[int] = 1  # factor of every memo's max_cells, see `room`
    made: ClassVar[WeakSet[Memo[Any]]] = WeakSet()

    def __init__(self, compute: Callable[..., T] | None = None, *, max_cells: int) -> None:
        self._run = compute or _nothing
        self._max_cells = max_cells
        self._kept: OrderedDict[str, tuple[int, T]] = OrderedDict()
        Memo.made.add(self)

    @property
    def largest(self) -> int:
        """Cells of the largest result that is kept."""
        return self._max_cells * self.times

    def __call__(self, *arrays: NDArray[Any]) -> T:
        return self.get(arrays, lambda: self._run(*arrays), sum(array.size for array in arrays))

    def get(self, arrays: Sequence[NDArray[Any]], compute: Callable[[], T], cells: int) -> T:
        """The kept result for these arrays, else that of `compute`, which is then kept and counts as `cells`."""
        if cells > self.largest or self.times == 0:
            return compute()
        key = _digest(arrays)
        if (kept := self._kept.get(key)) is not None:  # one look-up, because another thread may drop it in between
            return kept[1]
        result = compute()
        self._kept[key] = (cells, result)
        while sum(size for size, _ in list(self._kept.values())) > self.largest:
            self._kept.popitem(last=False)
        return result


def _nothing(*arrays: NDArray[Any]) -> Any:
    raise TypeError("this memo has no function of its own; use get")


@contextmanager
def room(times: int) -> Iterator[None]:
    """Context manager: multiply the bound of all memos; 0 keeps nothing, more is for folds that are used repeatedly."""
    before, Memo.times = Memo.times, times
    try:
        yield
    finally:
        Memo.times = before


def forget() -> None:
    """Drop the results of all memos to free memory."""
    for one in list(Memo.made):
        one._kept.clear()


def _digest(arrays: Sequence[NDArray[Any]]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()
