"""Passes over a score matrix, some rows at a time and on all cores, with the same sums on every machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from threadpoolctl import threadpool_limits

from recroute.data.cells import row_blocks

Part = TypeVar("Part")


def pass_over(shape: tuple[int, int], work: Callable[[slice], Part]) -> Iterator[Part]:
    """What `work` makes of each block of rows of a matrix (n, m), in their order.

    Blocks are worked on by as many threads as there are cores, one BLAS thread each; because their results come in
    the order of the rows, a sum of them does not depend on the number of threads.
    """
    blocks = row_blocks(*shape)
    n_threads = min(len(blocks), os.cpu_count() or 1)
    with threadpool_limits(limits=1, user_api="blas"):
        if n_threads == 1:
            yield from map(work, blocks)
            return
        with ThreadPoolExecutor(n_threads) as pool:
            rest = iter(blocks)
            waiting = [pool.submit(work, rows) for rows in islice(rest, n_threads)]
            while waiting:  # no more blocks at once than threads: their results take memory
                done = waiting.pop(0).result()
                waiting += [pool.submit(work, rows) for rows in islice(rest, 1)]
                yield done
