"""Requests to /route that wait for a thread, answered together: 64 prompts take the router little longer than one."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from itertools import accumulate

from recroute.serve.answer import Answer
from recroute.serve.errors import overloaded
from recroute.serve.schemas import RouteRequest
from recroute.serve.threads import Threads

MAX_WORK = 50_000  # about microseconds, of a batch
Batch = list[tuple[RouteRequest, "asyncio.Future[Answer]"]]


class Batches:
    """Requests of one event loop, in batches of those that differ in their prompts only.

    A request is answered at once if a thread is free, so nothing waits for a batch to fill. Otherwise it waits, and the
    next thread that is free answers all that have waited longest with the same options. If they fail together, each is
    answered alone.

    Parameters
    ----------
    threads : Threads
    answer : callable
        Answers requests of the same options, in a thread.
    n_threads, max_waiting : int
        Batches under way, and requests beyond them.
    """

    def __init__(
        self,
        threads: Threads,
        answer: Callable[[Sequence[RouteRequest]], Sequence[Answer]],
        n_threads: int,
        max_waiting: int,
    ) -> None:
        self._threads, self._answer = threads, answer
        self._free, self._limit, self._n = n_threads, n_threads + max_waiting, 0
        self._waiting: dict[Hashable, Batch] = {}  # by options, oldest first
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, request: RouteRequest, options: Hashable) -> Answer:
        """The answer to a request with these options; ServeError 503 if too many wait."""
        if self._n >= self._limit:
            raise overloaded()
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(options, []).append((request, future))
        self._n += 1
        self._start()
        return await future

    def _start(self) -> None:
        """Give the free threads what has waited longest."""
        while self._free and self._waiting:
            options, waiting = next(iter(self._waiting.items()))
            total = list(accumulate(work(request) for request, _ in waiting))
            n = max(1, bisect_right(total, MAX_WORK))
            del self._waiting[options]
            if waiting[n:]:
                self._waiting[options] = waiting[n:]
            self._free -= 1
            task = asyncio.create_task(self._run(waiting[:n]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: Batch) -> None:
        size = len(batch)
        batch = [one for one in batch if not one[1].done()]  # the others have timed out
        try:
            if len(batch) > 1 and not await self._answered(batch):
                for one in batch:
                    await self._answered([one])
            elif len(batch) == 1:
                await self._answered(batch)
        finally:
            self._n -= size
            self._free += 1
            self._start()

    async def _answered(self, batch: Batch) -> bool:
        """Answer a batch; False if it failed and there is more than one to tell."""
        try:
            answers = await self._threads.run(self._answer, [request for request, _ in batch])
        except Exception as error:  # noqa: BLE001  raised again in `run`
            if len(batch) > 1:
                return False
            if not batch[0][1].done():
                batch[0][1].set_exception(error)
            return True
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)
        return True


def work(request: RouteRequest) -> int:
    """Estimated microseconds of work, from the characters of the prompts and the number of LLMs returned."""
    prompts = request.prompts
    return sum(map(len, prompts)) + (25 if request.explain else 3) * len(prompts) * request.k
