"""Passes over a score matrix, some rows at a time and on all cores, with the same sums on every machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from threadpoolctl import threadpool_limits

from recroute.data.cells import row_blocks

Item = TypeVar("Item")
Part = TypeVar("Part")


def pass_over(shape: tuple[int, int], work: Callable[[slice], Part]) -> Iterator[Part]:
    """What `work` makes of each block of rows of a matrix (n, m), in their order, see `in_order`."""
    return in_order(row_blocks(*shape), work)


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
