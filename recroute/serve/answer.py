"""Answers to /route: rank the LLMs, log the decisions, encode the JSON."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from recroute.conversation import Conversations, Turn
from recroute.data import Prompts
from recroute.errors import RouterError
from recroute.routers import Ranking, Router
from recroute.routers.memory.attempts import check_learned
from recroute.routers.reference import predict_reference
from recroute.serve.decisions import Decision
from recroute.serve.errors import ServeError
from recroute.serve.explore import Explorer, SeedSource, rank_exploring
from recroute.serve.feedback import FeedbackLog
from recroute.serve.live import LoadedRouter
from recroute.serve.schemas import RouteRequest
from recroute.util.numeric import Floats

log = logging.getLogger("recroute.serve")


@dataclass(frozen=True)
class Answer:
    """Answer to a request: the version of the router, a route for each prompt, and the seconds it took."""

    version: str
    routes: Sequence[dict[str, Any]]
    seconds: float

    @cached_property
    def body(self) -> bytes:
        """JSON of the response."""
        return json.dumps({"router_version": self.version, "routes": self.routes}, allow_nan=False).encode()


@dataclass(frozen=True, kw_only=True)
class Answerer:
    """Answers requests to /route; called in a worker thread.

    Parameters
    ----------
    feedback : FeedbackLog, optional
        Where decisions are logged.
    explorer : Explorer, optional
    seeds : SeedSource
        Of the explorer.
    log_prompts : bool
        Whether decisions include the text of the prompt.
    conversations : Conversations, optional
        Of a server that stays with a conversation's LLM.
    reference : str, optional
        LLM that costs are compared with. Default: the one with the highest mean score on train.
    """

    feedback: FeedbackLog | None
    explorer: Explorer | None
    seeds: SeedSource
    log_prompts: bool
    conversations: Conversations | None = None
    reference: str | None = None

    def __call__(self, loaded: LoadedRouter, request: RouteRequest, turn: Turn | None = None) -> Answer:
        """Route the prompts with the given router; `turn` says which conversation the prompt continues.

        Raises RecrouteError if the request does not fit the router, ServeError 503 if a decision cannot be logged.
        """
        started = time.perf_counter()
        router, texts = _at_budget(loaded.router, request.budget), request.prompts
        llms = None if request.llms is None else _known(router, request.llms)
        prompts = Prompts.of(texts)  # encoded once
        ranking, propensity = self._rank(router, prompts, llms, request, turn or request.turn)
        routes = _routes(router, prompts, ranking, propensity)
        if (reference := predict_reference(router, prompts, self.reference)) is not None:
            for route, alone in zip(routes, reference.to_dicts(), strict=True):
                route["reference"] = alone
        if request.explain:
            for route, explanation in zip(routes, router.explain(prompts, k=request.k, llms=llms), strict=True):
                route["explanation"] = explanation.to_dict()
        if self.feedback is not None:
            decision_ids = self._log_decisions(loaded, prompts, ranking, propensity)
            for route, decision_id in zip(routes, decision_ids, strict=True):
                route["decision_id"] = decision_id
        return Answer(loaded.version, routes, time.perf_counter() - started)

    def together(self, loaded: LoadedRouter, requests: Sequence[RouteRequest]) -> list[Answer]:
        """Answers to requests that differ in their prompts only, encoded; each took its share of the time."""
        if len(requests) == 1:
            answers = [self(loaded, requests[0])]
        else:
            texts = [text for request in requests for text in request.prompts]
            whole, routes = self(loaded, requests[0].model_copy(update={"prompt": texts})), 0
            answers = []
            for request in requests:
                n = len(request.prompts)
                answers.append(
                    replace(whole, routes=whole.routes[routes : routes + n], seconds=whole.seconds * n / len(texts))
                )
                routes += n
        for answer in answers:
            _ = answer.body  # here, because the event loop has other things to do
        return answers

    def _rank(
        self, router: Router, prompts: Prompts, llms: Sequence[str] | None, request: RouteRequest, turn: Turn
    ) -> tuple[Ranking, Sequence[float | None]]:
        """The ranking and the propensities of its first LLMs, which are None where the choice was not drawn."""
        ranking: Ranking | None = None
        propensity: Sequence[float | None] = [None] * prompts.n
        if request.tried is not None:  # second attempts are not explored
            tried = {each.llm: each.score for each in request.tried}
            check_learned(router)
            _known(router, list(tried))
            ranking = router.rank(prompts, request.k, llms, tried=tried)
        elif self.conversations is not None:  # nor are turns that stay
            ranking = self.conversations.rank(router, prompts, request.k, llms, turn)
        if ranking is None and self.explorer is not None:
            rng = self.seeds.generator()
            ranking, propensity = rank_exploring(router, prompts, request.k, llms, self.explorer, rng)
        elif ranking is None:
            ranking = router.rank(prompts, request.k, llms)
        if self.conversations is not None:
            self.conversations.keep(turn, ranking.names[0][0])
        return ranking, propensity

    def _log_decisions(
        self,
        loaded: LoadedRouter,
        prompts: Prompts,
        ranking: Ranking,
        propensity: Sequence[float | None],
    ) -> list[str]:
        """Write the decisions and return their ids."""
        assert self.feedback is not None
        assert prompts.texts is not None
        vectors = _vectors(loaded.router, prompts)
        encoder = loaded.router.encoder_
        now = datetime.now(UTC).isoformat()
        decisions = [
            Decision(
                instance_id=instance_id(text),
                llms=names,
                propensity=share,
                router_version=loaded.version,
                time=now,
                vector=None if vectors is None else vectors[i],
                encoder=None if vectors is None or encoder is None else encoder.name,
                prompt=text if self.log_prompts else None,
            )
            for i, (text, names, share) in enumerate(zip(prompts.texts, ranking.names, propensity, strict=True))
        ]
        try:
            return self.feedback.decisions.add(decisions)
        except OSError as error:
            log.error("decisions cannot be written: %s", error)
            raise ServeError(503, "the decision could not be written to disk; try again later") from None


def _routes(
    router: Router, prompts: Prompts, ranking: Ranking, propensity: Sequence[float | None]
) -> list[dict[str, Any]]:
    """The part of the answer that is about each prompt."""
    scores, costs = router.score_parts(prompts, ranking)
    routes = []
    for i, names in enumerate(ranking.names):
        llms = [
            {"llm_id": name, "predicted_score": score} for name, score in zip(names, scores[i].tolist(), strict=True)
        ]
        for llm, cost in zip(llms, [] if costs is None else costs[i].tolist(), strict=False):
            llm["predicted_cost"] = cost
        route: dict[str, Any] = {"llm_id": names[0], "llms": llms}
        if propensity[i] is not None:
            route["propensity"] = propensity[i]
        routes.append(route)
    return routes


def instance_id(prompt: str) -> str:
    """Id of the prompt in the records: 16 hex digits of its SHA-256."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]


def _at_budget(router: Router, budget: float | None) -> Router:
    """The router with this budget (mean cost of 1,000 prompts), or as it is."""
    return router if budget is None else router.with_target(budget=budget)


def _known(router: Router, llms: Sequence[str]) -> list[str]:
    """The LLMs without repetitions; RouterError for an unknown one.

    The error suggests no similar name, which would take long to find among 10,000.
    """
    for name in llms:
        if name not in router.llm_ids_:
            raise RouterError(f"unknown llm {name[:100]!r}; GET /llms lists those there are")
    return list(dict.fromkeys(llms))


def _vectors(router: Router, prompts: Prompts) -> Floats | None:
    """Prompt vectors f32 (b, d); None if vectors are not all that the router reads."""
    if router.needs == "text" and router.reads == "text" and router.encoder_ is not None:
        return router.vectors(prompts)
    return None
