"""A few threads for the work that is no I/O, and a bound on what waits for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from recroute.serve.problems import ServeError

T = TypeVar("T")
Job = tuple["asyncio.Future[Any]", Callable[..., Any], tuple[object, ...]]


class Workers:
    """Runs calls in threads for the coroutines of one event loop.

    A call whose request is given up is not begun. One that has begun runs to its end, for a thread cannot be stopped;
    it keeps its thread so long, and so its place among those that count. Not a `ThreadPoolExecutor`: by its futures
    and asyncio's a call costs 16 us, and here 6.
    """

    def __init__(self, n_threads: int, max_waiting: int) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._limit, self._n = n_threads + max_waiting, 0  # only the loop counts
        self._threads = [threading.Thread(target=self._work, name=f"route-{i}", daemon=True) for i in range(n_threads)]
        for thread in self._threads:
            thread.start()

    async def run(self, call: Callable[..., T], *arguments: object) -> T:
        """The call's result; ServeError 503 if too many wait."""
        if self._n >= self._limit:
            raise ServeError(503, "too many requests wait for a thread; try again soon", {"Retry-After": "1"})
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._n += 1
        self._jobs.put((future, call, arguments))
        return await future

    def close(self) -> None:
        """Finish what waits; from another thread than that of the loop, which is still running."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, call, arguments = job
            result, error = None, None
            if not future.cancelled():
                try:
                    result = call(*arguments)
                except Exception as found:  # noqa: BLE001  it is raised where the call was asked for
                    error = found
            future.get_loop().call_soon_threadsafe(self._finish, future, result, error)

    def _finish(self, future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        self._n -= 1
        if future.done():  # given up meanwhile
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
