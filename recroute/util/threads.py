"""Work on all cores with the same sums on every machine, and BLAS at one thread where a second would only wait."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import islice
from typing import TypeVar

from threadpoolctl import ThreadpoolController, threadpool_limits

Item = TypeVar("Item")
Part = TypeVar("Part")

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


def in_order(items: Sequence[Item], work: Callable[[Item], Part]) -> Iterator[Part]:
    """What `work` makes of each item, in their order.

    Items are worked on by as many threads as there are cores, one BLAS thread each; because their results come in
    the order of the items, a sum of them does not depend on the number of threads.
    """
    n_threads = min(len(items), os.cpu_count() or 1)
    if n_threads <= 1:
        yield from map(work, items)
        return
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(n_threads) as pool:
        rest = iter(items)
        waiting = [pool.submit(work, item) for item in islice(rest, n_threads)]
        while waiting:  # no more items at once than threads: their results take memory
            done = waiting.pop(0).result()
            waiting += [pool.submit(work, item) for item in islice(rest, 1)]
            yield done
