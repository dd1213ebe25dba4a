"""Parallel work with results that do not depend on the number of cores, and a limit on the threads of BLAS."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Part = TypeVar("Part")

SHARED_FROM = 460_000  # cells; OpenBLAS computes the product of one vector with a smaller matrix in one thread anyway


@contextmanager
def one_thread(n_rows: int, n_cells: int) -> Iterator[None]:
    """Context manager: limit BLAS to one thread for the product of n_rows vectors with a matrix of n_cells.

    The product of a few prompts with 10,000 LLMs takes microseconds; shared by two threads on a busy machine, it waits
    milliseconds for the scheduler. OpenBLAS obeys the limit only in the main thread.
    """
    if n_rows < 2 and n_cells < SHARED_FROM:
        yield
        return
    with one_blas_thread():
        yield


def one_blas_thread() -> AbstractContextManager[Any]:
    """Context manager: limit BLAS to one thread, so that sums do not depend on the number of cores.

    `threadpool_limits` takes milliseconds, because it searches for the libraries at each call; here they are searched
    again only if modules were imported since, which may have loaded another.
    """
    return _libraries(len(sys.modules)).limit(limits=1)


@lru_cache(maxsize=1)
def _libraries(n_modules: int) -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


def in_order(items: Sequence[Item], work: Callable[[Item], Part]) -> Iterator[Part]:
    """Yield the results of `work` for all items, in their order, computed by as many threads as there are cores.

    BLAS is limited to one thread each. Because results come in the order of the items, a sum of them does not depend
    on the number of threads.
    """
    n_threads = min(len(items), os.cpu_count() or 1)
    if n_threads <= 1:
        yield from map(work, items)
        return
    with one_blas_thread(), ThreadPoolExecutor(n_threads) as pool:
        rest = iter(items)
        waiting = [pool.submit(work, item) for item in islice(rest, n_threads)]
        while waiting:  # no more items at once than threads, because their results take memory
            done = waiting.pop(0).result()
            waiting += [pool.submit(work, item) for item in islice(rest, 1)]
            yield done
