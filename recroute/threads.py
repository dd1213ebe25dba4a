"""BLAS at one thread for products that are over sooner than a second thread wakes up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

SHARED_FROM = 460_000  # OpenBLAS shares out no product of one vector with a smaller matrix


class _OneThread:
    """How many blocks are open, and what the last of them to end restores."""

    lock = Lock()
    n_open = 0
    limit: Any = None


@contextmanager
def one_thread(n_rows: int, n_cells: int) -> Iterator[None]:
    """Hold BLAS at one thread for the product of n_rows vectors with a matrix of n_cells.

    On a busy machine a product shared by two threads waits for the scheduler, milliseconds, where a few prompts times
    10,000 LLMs take microseconds. `threadpool_limits` takes milliseconds as well: it looks for the libraries each
    time. Those that are loaded after the first call here are not held. Blocks of several threads may overlap.
    """
    if n_rows < 2 and n_cells < SHARED_FROM:
        yield
        return
    with _OneThread.lock:
        if _OneThread.n_open == 0:
            _OneThread.limit = _libraries().limit(limits=1)
        _OneThread.n_open += 1
    try:
        yield
    finally:
        with _OneThread.lock:
            _OneThread.n_open -= 1
            if _OneThread.n_open == 0:
                _OneThread.limit.restore_original_limits()


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")
