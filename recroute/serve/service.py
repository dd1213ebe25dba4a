"""All that the application holds between requests."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from recroute.errors import RecrouteError
from recroute.serve.answer import Answerer
from recroute.serve.explore import Dice, make_explorer
from recroute.serve.feedback import FeedbackLog
from recroute.serve.live import LiveRouter
from recroute.serve.metrics import Metrics
from recroute.serve.problems import ServeError
from recroute.serve.schemas import FeedbackRequest, RouteRequest
from recroute.serve.settings import ServeSettings
from recroute.serve.work import Workers

log = logging.getLogger("recroute.serve")
MOST_EXPLAINED = 10_000  # LLMs in one answer: 256 prompts with 1000 LLMs each take 6 s and 100 MB
PAUSE = 0.02  # seconds before a made-up id is refused: who tries many waits, and the processor is left to others
LARGE = 50_000  # from so much on, about microseconds of work, a request waits among its like


@dataclass(frozen=True, kw_only=True)
class Service:
    """A router being served; `close` it."""

    settings: ServeSettings
    live: LiveRouter
    feedback: FeedbackLog | None
    answer: Answerer
    workers: Workers
    large: Workers  # so that no small request waits behind large ones
    metrics: Metrics

    @classmethod
    def open(cls, settings: ServeSettings) -> Service:
        """Load the router and open the feedback folder.

        Raises RecrouteError if one of the two cannot be done.
        """
        explorer, dice = make_explorer(settings.explore), Dice(settings.seed)
        live = LiveRouter(settings.router_dir)
        folder, metrics = settings.feedback_dir, Metrics()
        metrics.set_router(live.current)
        feedback = None if folder is None else FeedbackLog(folder, settings.max_waiting)
        return cls(
            settings=settings,
            live=live,
            feedback=feedback,
            answer=Answerer(feedback=feedback, explorer=explorer, dice=dice, log_prompts=settings.log_prompts),
            workers=Workers(settings.threads, settings.max_waiting),
            large=Workers(max(1, settings.threads - 1), settings.max_waiting),
            metrics=metrics,
        )

    async def route(self, request: RouteRequest) -> bytes:
        """The body of the answer, by the router there is now."""
        self._check(request)
        workers = self.large if _work(request) > LARGE else self.workers
        answer = await workers.run(self.answer, self.live.current, request)
        self.metrics.count_choices(answer.chosen, answer.seconds)
        return answer.body

    async def take(self, request: FeedbackRequest) -> bool:
        """Write feedback; whether it was there already."""
        if self.feedback is None:
            raise ServeError(409, "this server keeps no feedback; start it with --feedback DIR")
        try:
            self.feedback.check(request.decision_id)
        except ServeError:
            await asyncio.sleep(PAUSE)
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
        """Load the folder beside the requests; whether another router answers now."""
        try:
            changed = await asyncio.to_thread(self.live.reload)
        except RecrouteError:
            self.metrics.reloads.labels("failed").inc()
            raise
        self.metrics.reloads.labels("changed" if changed else "unchanged").inc()
        self.metrics.set_router(self.live.current)
        return changed

    async def watch(self) -> None:
        """Reload whenever the folder has changed, for ever."""
        while self.settings.poll:
            await asyncio.sleep(self.settings.poll)
            if await asyncio.to_thread(self.live.is_due):
                try:
                    await self.reload()
                except RecrouteError:
                    continue  # it is in the log and in /healthz

    def close(self) -> None:
        """Finish what is being done, and flush."""
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
        if request.explain and (n_llms := len(prompts) * request.k) > MOST_EXPLAINED:
            raise ServeError(
                422, f"{n_llms} LLMs are more than {MOST_EXPLAINED} to explain at once; lower k or send less"
            )


def _work(request: RouteRequest) -> int:
    """About the microseconds that a request takes: by characters and by LLMs named."""
    prompts = request.prompts
    return sum(map(len, prompts)) + (25 if request.explain else 3) * len(prompts) * request.k
