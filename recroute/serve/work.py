"""A few threads for the work that is no I/O, and a bound on what waits for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from recroute.serve.problems import ServeError

T = TypeVar("T")


class Workers:
    """Runs calls in threads for coroutines.

    A call whose request is given up is not begun. One that has begun runs to its end, for a thread cannot be stopped;
    it keeps its thread so long, and so its place among those that count.
    """

    def __init__(self, n_threads: int, max_waiting: int) -> None:
        self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="route")
        self._limit = n_threads + max_waiting
        self._n, self._lock = 0, threading.Lock()

    async def run(self, call: Callable[..., T], *arguments: object) -> T:
        """The call's result; ServeError 503 if too many wait."""
        with self._lock:
            if self._n >= self._limit:
                raise ServeError(503, "too many requests wait for a thread; try again soon", {"Retry-After": "1"})
            self._n += 1
        future = self._pool.submit(call, *arguments)
        future.add_done_callback(self._done)
        return await asyncio.wrap_future(future)

    def _done(self, future: Future[T]) -> None:
        with self._lock:
            self._n -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
