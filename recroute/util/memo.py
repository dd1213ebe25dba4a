"""Work that does not depend on the LLMs is done once: pools, folds and routers share their prompts."""

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
    """A pure function of arrays that remembers its latest results, by the content of the arrays.

    Parameters
    ----------
    compute : callable, optional
        None where only `get` is used.
    max_cells : int
        Results are forgotten, oldest first, once the arrays they came from have more cells together; so memory stays
        bounded, and a larger array is never remembered. See `room`.
    """

    times: ClassVar[int] = 1
    made: ClassVar[WeakSet[Memo[Any]]] = WeakSet()

    def __init__(self, compute: Callable[..., T] | None = None, *, max_cells: int) -> None:
        self._run = compute or _nothing
        self._max_cells = max_cells
        self._kept: OrderedDict[str, tuple[int, T]] = OrderedDict()
        Memo.made.add(self)

    def __call__(self, *arrays: NDArray[Any]) -> T:
        return self.get(arrays, lambda: self._run(*arrays), sum(array.size for array in arrays))

    def get(self, arrays: Sequence[NDArray[Any]], compute: Callable[[], T], cells: int) -> T:
        """What `compute` gives, remembered as the result of these arrays and as large as so many cells."""
        if self.times == 0:
            return compute()
        key = _digest(arrays)
        if (kept := self._kept.get(key)) is not None:  # one look-up: another thread may forget it in between
            return kept[1]
        found = compute()
        self._kept[key] = (cells, found)
        while sum(size for size, _ in list(self._kept.values())) > self._max_cells * self.times:
            self._kept.popitem(last=False)
        return found


def _nothing(*arrays: NDArray[Any]) -> Any:
    raise TypeError("this memo has no function of its own; use get")


@contextmanager
def room(times: int) -> Iterator[None]:
    """All memos keep so many times as much inside the block: 0 for nothing, more where folds come round again."""
    before, Memo.times = Memo.times, times
    try:
        yield
    finally:
        Memo.times = before


def forget() -> None:
    """Give back what all memos keep, where memory is short."""
    for one in list(Memo.made):
        one._kept.clear()


def _digest(arrays: Sequence[NDArray[Any]]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()
