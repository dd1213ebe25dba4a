"""The HTTP application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
from fastapi import Depends, FastAPI, Response
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST

from recroute._version import __version__
from recroute.errors import RecrouteError
from recroute.serve import schemas
from recroute.serve.guard import Guard
from recroute.serve.problems import ServeError, add_handlers
from recroute.serve.service import Service
from recroute.serve.settings import ServeSettings

DESCRIPTION = """Which LLM for this prompt? A router fitted by recroute answers.

Every error is `{"error": "one clear line"}`. An answer names the router that gave it (`router_version`); the router is
replaced as a whole while the server runs.
"""
MEANINGS = {
    400: "The body is not valid JSON, or incomplete.",
    401: "No token, or another.",
    408: "The body did not arrive in time.",
    409: "It does not fit what is there.",
    404: "No such decision.",
    413: "The body is too large.",
    422: "A value is missing, unknown or outside its limits.",
    503: "Too much to do, or it took too long; try again later.",
}


def create_app(settings: ServeSettings) -> FastAPI:
    """The application that serves the router of a folder.

    The router is loaded at once; the feedback folder is closed at the application's shutdown.

    Raises
    ------
    RecrouteError
        If there is no router that can route a prompt, or the feedback folder cannot be used.
    """
    service = Service.open(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watcher = asyncio.create_task(service.watch())
        yield
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
        await asyncio.to_thread(service.close)

    app = FastAPI(
        title="recroute",
        description=DESCRIPTION,
        version=__version__,
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    paths = {"/route": settings.timeout, "/llms": settings.timeout, "/feedback": settings.timeout}
    paths |= {"/healthz": settings.timeout, "/metrics": settings.timeout, "/reload": settings.reload_timeout}
    app.add_middleware(Guard, settings=settings, metrics=service.metrics, paths=paths)
    app.state.service = service
    add_handlers(app)
    token = [] if settings.token is None else [Depends(HTTPBearer(auto_error=False))]
    _add_routing(app, service, token)
    _add_running(app, service, token)
    return app


def _add_routing(app: FastAPI, service: Service, token: list[Any]) -> None:
    """What a client asks for."""

    @app.post(
        "/route",
        summary="Choose LLMs for prompts",
        response_model=schemas.RouteResponse,
        response_model_exclude_none=True,
        responses=_errors(400, 401, 408, 413, 422, 503),
        dependencies=token,
    )
    async def route(request: schemas.RouteRequest) -> Response:
        """The k best LLMs for each prompt, best first, of all or of those allowed.

        Where the server explores, the first may be another than the predicted best; its propensity is given.
        """
        return _json(await service.route(request))

    @app.get(
        "/llms",
        summary="The LLMs to choose from",
        response_model=schemas.LLMsResponse,
        responses=_errors(401, 408, 413, 503),
        dependencies=token,
    )
    async def llms() -> Response:
        """All LLMs that the router knows, with their mean score on its training prompts."""
        return _json(await service.workers.run(_llms_body, service.live.current))

    @app.post(
        "/feedback",
        summary="Say what came of a decision",
        response_model=schemas.FeedbackResponse,
        responses=_errors(400, 401, 404, 408, 409, 413, 422, 503),
        dependencies=token,
    )
    async def feedback(request: schemas.FeedbackRequest) -> Response:
        """A score of the answer, or a preference between two LLMs' answers; it is on disk when this returns.

        Each decision takes one score and one preference. The same again changes nothing and is answered as a
        duplicate, so that a request may be repeated; something else is refused with 409.
        """
        duplicate = await service.take(request)
        return _json(json.dumps({"decision_id": request.decision_id, "duplicate": duplicate}).encode())


def _add_running(app: FastAPI, service: Service, token: list[Any]) -> None:
    """What whoever runs the service asks for."""
    live, name = service.live, str(service.settings.router_dir)

    def public(error: object) -> str:
        return str(error).replace(name, service.settings.router_dir.name)

    @app.get("/healthz", summary="Whether it serves, and what", responses=_errors(408, 413, 503))
    async def healthz() -> schemas.Health:
        """Never asks for a token."""
        now, error = live.current, live.error
        return schemas.Health(
            status="ok" if error is None else "stale",
            router_version=now.version,
            loaded_at=now.loaded_at.isoformat(),
            n_llms=len(now.router.llm_ids_),
            reload_error=None if error is None else public(error),
        )

    @app.get(
        "/metrics",
        summary="Counters for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **_errors(401, 408, 413, 503)},
        dependencies=token,
    )
    async def metrics() -> Response:
        """Requests, latencies (in all, and in recroute), choices, feedback, the router, the process."""
        return Response(service.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    @app.post(
        "/reload",
        summary="Take the folder's router now",
        responses=_errors(401, 408, 409, 413, 503),
        dependencies=token,
    )
    async def reload() -> schemas.ReloadResponse:
        """Load what the router's folder holds and let it answer from now on; requests under way are finished by the
        old one. A folder that cannot be loaded is refused, and the old one goes on.
        """
        try:
            changed = await service.reload()
        except RecrouteError as error:
            raise ServeError(409, public(error)) from None
        return schemas.ReloadResponse(router_version=live.current.version, changed=changed)


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": schemas.Error, "description": MEANINGS[status]} for status in statuses}


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _llms_body(loaded: Any) -> bytes:
    router = loaded.router
    means = [mean if np.isfinite(mean) else None for mean in router.llm_mean_.tolist()]
    llms = [{"llm_id": name, "train_mean": mean} for name, mean in zip(router.llm_ids_, means, strict=True)]
    return json.dumps({"router_version": loaded.version, "router": router.label, "llms": llms}).encode()
