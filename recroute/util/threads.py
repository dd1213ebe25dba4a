"""BLAS at one thread for products that are over sooner than a second thread wakes up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

SHARED_FROM = 460_000  # OpenBLAS shares out no product of one vector with a smaller matrix


@contextmanager
def one_thread(n_rows: int, n_cells: int) -> Iterator[None]:
    """Hold BLAS at one thread for the product of n_rows vectors with a matrix of n_cells.

    On a busy machine a product shared by two threads waits for the scheduler, milliseconds, where a few prompts times
    10,000 LLMs take microseconds. `threadpool_limits` takes milliseconds as well: it looks for the libraries each
    time. Those that are loaded after the first call here are not held, and OpenBLAS heeds only the main thread.
    """
    if n_rows < 2 and n_cells < SHARED_FROM:
        yield
        return
    with _libraries().limit(limits=1):
        yield


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")
