"""`Service`: the state of the application, and what it does for each path."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recroute.conversation import Conversations, Reading
from recroute.errors import RecrouteError
from recroute.serve.answer import Answer, Answerer
from recroute.serve.batches import MAX_WORK, Batches, work
from recroute.serve.errors import ServeError
from recroute.serve.explore import SeedSource, make_explorer
from recroute.serve.feedback import FeedbackLog
from recroute.serve.lines import Rotation
from recroute.serve.live import LiveRouter
from recroute.serve.metrics import Metrics
from recroute.serve.schemas import FeedbackRequest, RouteRequest
from recroute.serve.settings import ServeSettings
from recroute.serve.threads import Threads

log = logging.getLogger("recroute.serve")
MAX_EXPLAINED = 10_000  # LLMs in one answer: 256 prompts with 1000 LLMs each take 6 s and 100 MB
UNKNOWN_ID_DELAY = 0.02  # seconds before an unknown decision id is refused, which slows down guessing


@dataclass(frozen=True, kw_only=True)
class Service:
    """A router that is served, with everything needed to answer requests; call `close` at the end."""

    settings: ServeSettings
    live: LiveRouter
    feedback: FeedbackLog | None
    answer: Answerer
    name: str  # of this process
    threads: Threads
    batches: Batches  # of small requests
    large: Threads  # for large requests, so that small ones do not wait behind them
    metrics: Metrics
    on_reload: Callable[[], None]  # tells other workers

    @property
    def reading(self) -> Reading:
        """What is read of messages; never more than the limit of a prompt."""
        reading = Reading.of(self.settings.conversation)
        return replace(reading, max_chars=min(reading.max_chars, self.settings.max_chars))

    @classmethod
    def open(cls, settings: ServeSettings, worker: int = 1, on_reload: Callable[[], None] = lambda: None) -> Service:
        """Load the router and open the feedback folder.

        Raises RecrouteError if either fails.
        """
        seed = None if settings.seed is None else settings.seed + worker - 1  # each worker draws for itself
        explorer, seeds = make_explorer(settings.explore), SeedSource(seed)
        rotation, name = Rotation.parse(settings.rotate), process_name(settings.feedback_dir, worker)
        live = LiveRouter(settings.router_dir, settings.reference)
        folder, metrics = settings.feedback_dir, Metrics()
        metrics.set_router(live.current)
        feedback = None if folder is None else FeedbackLog(folder, name, settings.max_waiting, rotation)
        answer = Answerer(
            feedback=feedback,
            explorer=explorer,
            seeds=seeds,
            log_prompts=settings.log_prompts,
            conversations=None if settings.stay is None else Conversations(settings.stay),
            reference=settings.reference,
        )

        def together(requests: Sequence[RouteRequest]) -> list[Answer]:
            return answer.together(live.current, requests)

        threads = Threads(settings.threads, settings.max_waiting)
        return cls(
            settings=settings,
            live=live,
            feedback=feedback,
            answer=answer,
            name=name,
            threads=threads,
            batches=Batches(threads, together, settings.threads, settings.max_waiting),
            large=Threads(max(1, settings.threads - 1), settings.max_waiting),
            metrics=metrics,
            on_reload=on_reload,
        )

    def facts(self) -> dict[str, Any]:
        """What is served, and how."""
        now, settings = self.live.current, self.settings
        return {
            "router": now.router.label,
            "router_version": now.version,
            "n_llms": len(now.router.llm_ids_),
            "feedback": None if settings.feedback_dir is None else str(settings.feedback_dir),
            "explore": settings.explore,
            "seed": self.answer.seeds.seed,
        }

    async def route(self, request: RouteRequest) -> bytes:
        """Body of the response, by the router in use."""
        request = request.as_prompt(self.reading)
        self._check(request)
        if work(request) > MAX_WORK:
            (answer,) = await self.large.run(self.answer.together, self.live.current, [request])
        else:
            options = (request.k, request.budget, None if request.llms is None else tuple(request.llms))
            is_alone = request.explain or request.tried is not None or self.answer.conversations is not None
            answer = await self.batches.run(request, object() if is_alone else options)
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
        """Load the folder in the background, then in the other workers; True if another router is in use now."""
        changed = await asyncio.to_thread(self.load)
        self.on_reload()
        return changed

    def load(self) -> bool:
        """Load the folder now; True if another router is in use now."""
        try:
            changed = self.live.reload()
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
                with suppress(RecrouteError):  # the log and /healthz say why
                    await asyncio.to_thread(self.load)

    def close(self) -> None:
        """Finish running requests and flush feedback."""
        self.threads.close()
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
