"""`Service`, the state of the application, and its worker threads."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from recroute.conversation import Conversations, Reading
from recroute.errors import RecrouteError
from recroute.serve.answer import Answerer
from recroute.serve.errors import ServeError
from recroute.serve.explore import SeedSource, make_explorer
from recroute.serve.feedback import FeedbackLog
from recroute.serve.lines import Rotation
from recroute.serve.live import LiveRouter
from recroute.serve.metrics import Metrics
from recroute.serve.schemas import FeedbackRequest, RouteRequest
from recroute.serve.settings import ServeSettings

T = TypeVar("T")
Job = tuple["asyncio.Future[Any]", Callable[..., Any], tuple[object, ...]]
log = logging.getLogger("recroute.serve")
MAX_EXPLAINED = 10_000  # LLMs in one answer: 256 prompts with 1000 LLMs each take 6 s and 100 MB
UNKNOWN_ID_DELAY = 0.02  # seconds before an unknown decision id is refused, which slows down guessing
LARGE_REQUEST = 50_000  # about microseconds of work; requests beyond it have their own threads


class Workers:
    """Thread pool for the coroutines of one event loop, with a bounded queue.

    A call whose request has timed out is not started. A call that has started runs to its end, because a thread cannot
    be stopped, and counts towards the limit until then. A `ThreadPoolExecutor` takes 16 us per call, this class 6 us.
    """

    def __init__(self, n_threads: int, max_waiting: int) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._limit, self._n = n_threads + max_waiting, 0  # changed by the event loop only
        self._threads = [threading.Thread(target=self._work, name=f"route-{i}", daemon=True) for i in range(n_threads)]
        for thread in self._threads:
            thread.start()

    async def run(self, call: Callable[..., T], *arguments: object) -> T:
        """The call's result; ServeError 503 if the queue is full."""
        if self._n >= self._limit:
            raise ServeError(503, "too many requests are waiting for a thread; try again soon", {"Retry-After": "1"})
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._n += 1
        self._jobs.put((future, call, arguments))
        return await future

    def close(self) -> None:
        """Finish the queue. Call it from another thread than that of the event loop, which must be running."""
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
                except Exception as raised:  # noqa: BLE001  raised again in `run`
                    error = raised
            future.get_loop().call_soon_threadsafe(self._finish, future, result, error)

    def _finish(self, future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        self._n -= 1
        if future.done():  # the request has timed out
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


@dataclass(frozen=True, kw_only=True)
class Service:
    """A router that is served, with everything needed to answer requests; call `close` at the end."""

    settings: ServeSettings
    live: LiveRouter
    feedback: FeedbackLog | None
    answer: Answerer
    name: str  # of this process
    workers: Workers
    large: Workers  # for large requests, so that small ones do not wait behind them
    metrics: Metrics

    @property
    def reading(self) -> Reading:
        """What is read of messages; never more than the limit of a prompt."""
        reading = Reading.of(self.settings.conversation)
        return replace(reading, max_chars=min(reading.max_chars, self.settings.max_chars))

    @classmethod
    def open(cls, settings: ServeSettings, worker: int = 1) -> Service:
        """Load the router and open the feedback folder.

        Raises RecrouteError if either fails.
        """
        explorer, seeds = make_explorer(settings.explore), SeedSource(settings.seed)
        rotation, name = Rotation.parse(settings.rotate), process_name(settings.feedback_dir, worker)
        live = LiveRouter(settings.router_dir, settings.reference)
        folder, metrics = settings.feedback_dir, Metrics()
        metrics.set_router(live.current)
        feedback = None if folder is None else FeedbackLog(folder, name, settings.max_waiting, rotation)
        return cls(
            settings=settings,
            live=live,
            feedback=feedback,
            answer=Answerer(
                feedback=feedback,
                explorer=explorer,
                seeds=seeds,
                log_prompts=settings.log_prompts,
                conversations=None if settings.stay is None else Conversations(settings.stay),
                reference=settings.reference,
            ),
            name=name,
            workers=Workers(settings.threads, settings.max_waiting),
            large=Workers(max(1, settings.threads - 1), settings.max_waiting),
            metrics=metrics,
        )

    async def route(self, request: RouteRequest) -> bytes:
        """Body of the response, by the router in use."""
        request = request.as_prompt(self.reading)
        self._check(request)
        workers = self.large if _work(request) > LARGE_REQUEST else self.workers
        answer = await workers.run(self.answer, self.live.current, request)
        self.metrics.count_routes(answer.routes, answer.seconds)
        return answer.body

    async def add_feedback(self, request: FeedbackRequest) -> bool:
        """Write feedback to disk; True if it was there already."""
        if self.feedback is None:
            raise ServeError(409, "this server keeps no feedback; start it with --feedback DIR")
        try:
            self.feedback.check(request.decision_id)
        except ServeError:
            await asyncio.sleep(UNKNOWN_ID_DELAY)
            raise
        kind, content = "score", request.model_dump(include={"score", "llm_id", "cost"})
        if request.preference is not None:
            kind, content = "preference", request.preference.model_dump()
            for llm in (request.preference.llm_a, request.preference.llm_b):
                if llm not in self.live.current.router.llm_ids_:
                    raise ServeError(422, f"unknown llm {llm[:100]!r}; GET /llms lists those there are")
        duplicate = await asyncio.wrap_future(self.feedback.add(request.decision_id, kind, content))
        self.metrics.feedback.labels(kind, str(duplicate).lower()).inc()
        return duplicate

    async def reload(self) -> bool:
        """Load the folder in the background; True if another router is in use now."""
        try:
            changed = await asyncio.to_thread(self.live.reload)
        except RecrouteError:
            self.metrics.reloads.labels("failed").inc()
            raise
        self.metrics.reloads.labels("changed" if changed else "unchanged").inc()
        self.metrics.set_router(self.live.current)
        return changed

    async def watch(self) -> None:
        """Reload whenever the folder has changed, until cancelled."""
        while self.settings.poll:
            await asyncio.sleep(self.settings.poll)
            if await asyncio.to_thread(self.live.is_due):
                try:
                    await self.reload()
                except RecrouteError:
                    continue  # the log and /healthz say why

    def close(self) -> None:
        """Finish running requests and flush feedback."""
        self.workers.close()
        self.large.close()
        if self.feedback is not None:
            self.feedback.close()

    def _check(self, request: RouteRequest) -> None:
        limits, prompts = self.settings, request.prompts
        if len(prompts) > limits.max_prompts:
            raise ServeError(422, f"{len(prompts)} prompts are more than {limits.max_prompts}; send fewer at once")
        if (longest := max(map(len, prompts))) > limits.max_chars:
            raise ServeError(422, f"a prompt of {longest} characters is longer than {limits.max_chars}; shorten it")
        if request.explain and (n_llms := len(prompts) * request.k) > MAX_EXPLAINED:
            raise ServeError(
                422, f"{n_llms} LLMs are more than {MAX_EXPLAINED} to explain at once; lower k or send less"
            )


def process_name(folder: Path | None, worker: int) -> str:
    """Name of a process: six digits of a hash of the host and its feedback folder, and the number of the worker."""
    place = f"{socket.gethostname()}:{'' if folder is None else folder.resolve()}"
    return f"{hashlib.sha256(place.encode()).hexdigest()[:6]}.{worker}"


def _work(request: RouteRequest) -> int:
    """Estimated microseconds of work, from the characters of the prompts and the number of LLMs returned."""
    prompts = request.prompts
    return sum(map(len, prompts)) + (25 if request.explain else 3) * len(prompts) * request.k
