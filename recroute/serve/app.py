"""The HTTP application: `create_app` and the functions behind its paths."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST

from recroute._version import __version__
from recroute.errors import RecrouteError
from recroute.serve import schemas
from recroute.serve.errors import ServeError, add_handlers
from recroute.serve.guard import Guard
from recroute.serve.live import LoadedRouter
from recroute.serve.paths import add_docs
from recroute.serve.service import Service
from recroute.serve.settings import ServeSettings

log = logging.getLogger("recroute.serve")
DESCRIPTION = """Which LLM for this prompt? A router fitted by recroute answers.

Every error is `{"error": "one clear line", "detail": "the same line"}`. An answer names the router that gave it
(`router_version`); the router can be replaced while the server runs.
"""
MEANINGS = {
    400: "The body is incomplete or not valid JSON.",
    401: "The token is missing or wrong.",
    404: "No such decision.",
    408: "The body did not arrive in time.",
    409: "The request conflicts with the state of the server.",
    413: "The body is too large.",
    422: "A value is missing, unknown or outside its limits.",
    503: "The server is overloaded, or the request took too long; try again later.",
}


def create_app(
    settings: ServeSettings,
    worker: int = 1,
    on_reload: Callable[[], None] = lambda: None,
    auth: Callable[..., Any] | None = None,
) -> FastAPI:
    """The application that serves the router of a folder.

    The router is loaded at once; the feedback folder is closed when the application shuts down. An application that
    mounts this one passes on its lifespan, during which the router's folder is watched.

    Parameters
    ----------
    settings : ServeSettings
    worker : int
        Number of this process, if several share the work.
    on_reload : callable
        Called after POST /reload, to tell the other workers.
    auth : callable, optional
        Dependency of FastAPI that refuses a request, in place of the token of the settings.

    Raises
    ------
    RecrouteError
        If there is no router that can route a prompt, or the feedback folder cannot be used.

    Examples
    --------
    Mounted at /router::

        served = create_app(ServeSettings(router_dir=Path("my_router")))
        app = FastAPI(lifespan=served.router.lifespan_context)
        app.mount("/router", served)
    """
    service = Service.open(settings, worker, on_reload)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watcher = asyncio.create_task(service.watch())
        log.info("started with router %s", service.live.current.version)
        yield
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
        await asyncio.to_thread(service.close)
        log.info("stopped, after the requests that were under way")

    app = FastAPI(
        title="recroute",
        description=DESCRIPTION,
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    timeouts = dict.fromkeys(("/route", "/llms", "/feedback", "/healthz", "/metrics"), settings.timeout)
    timeouts["/reload"] = settings.reload_timeout
    app.add_middleware(Guard, settings=settings, metrics=service.metrics, paths=timeouts)
    app.state.service = service
    add_handlers(app)
    token = [] if settings.token is None else [Depends(HTTPBearer(auto_error=False))]
    if auth is not None:
        token = [Depends(auth)]
    app.include_router(protected, dependencies=token)
    app.include_router(monitoring, dependencies=[] if settings.open_metrics else token)
    app.include_router(public)
    add_docs(app)
    return app


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": schemas.Error, "description": MEANINGS[status]} for status in statuses}


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


protected, monitoring, public = APIRouter(), APIRouter(), APIRouter()  # with the token, by --open-metrics, without


@protected.post(
    "/route",
    summary="Choose LLMs for prompts",
    response_model=schemas.RouteResponse,
    response_model_exclude_none=True,
    responses=_errors(400, 401, 408, 413, 422, 503),
)
async def route(http: Request, request: schemas.RouteRequest) -> Response:
    """The k best LLMs for each prompt, best first, among all LLMs or those allowed.

    If the server explores, the first LLM may differ from the one predicted to be best; its propensity is given.
    """
    return _json(await _service(http).route(request))


@protected.get(
    "/llms",
    summary="List the LLMs to choose from",
    response_model=schemas.LLMsResponse,
    responses=_errors(401, 408, 413, 503),
)
async def llms(http: Request) -> Response:
    """All LLMs that the router knows, with their mean score on its training prompts."""
    service = _service(http)
    return _json(await service.threads.run(_llms_body, service.live.current))


@protected.post(
    "/feedback",
    summary="Report a score or a preference",
    response_model=schemas.FeedbackResponse,
    responses=_errors(400, 401, 404, 408, 409, 413, 422, 503),
)
async def feedback(http: Request, request: schemas.FeedbackRequest) -> Response:
    """A score of the answer, or a preference between two LLMs' answers; on disk when the response arrives.

    A decision takes one score and one preference. Requests may be repeated: the same feedback changes nothing and is
    answered as a duplicate. Different feedback is refused with 409.
    """
    duplicate = await _service(http).add_feedback(request)
    return _json(json.dumps({"decision_id": request.decision_id, "duplicate": duplicate}).encode())


@public.get("/", summary="Find the documentation", responses=_errors(408, 413, 503))
@public.head("/", include_in_schema=False)
async def start(http: Request) -> schemas.Start:
    """Where the documentation is; never needs a token."""
    root = http.scope.get("root_path", "")
    return schemas.Start(service="recroute", docs=f"{root}/docs", openapi=f"{root}/openapi.json")


@public.head("/healthz", include_in_schema=False)
@public.get("/healthz", summary="State of the service", responses=_errors(408, 413, 503))
async def healthz(http: Request) -> schemas.Health:
    """Whether the service is up and which router it uses; never needs a token."""
    service = _service(http)
    now, error = service.live.current, service.live.error
    return schemas.Health(
        status="ok" if error is None else "stale",
        router_version=now.version,
        loaded_at=now.loaded_at.isoformat(),
        n_llms=len(now.router.llm_ids_),
        worker=service.name,
        reload_error=None if error is None else _public(error, service),
    )


@monitoring.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **_errors(401, 408, 413, 503)},
)
async def metrics(http: Request) -> Response:
    """Requests, latencies (in total and in recroute), choices, feedback, the router, the process."""
    return Response(_service(http).metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


@protected.post("/reload", summary="Load the folder's router now", responses=_errors(401, 408, 409, 413, 503))
async def reload(http: Request) -> schemas.ReloadResponse:
    """Load the router from its folder and use it from now on; running requests finish with the previous one.

    If the folder cannot be loaded, the request is refused and the previous router stays in use.
    """
    service = _service(http)
    try:
        changed = await service.reload()
    except RecrouteError as error:
        raise ServeError(409, _public(error, service)) from None
    return schemas.ReloadResponse(router_version=service.live.current.version, changed=changed)


def _public(error: object, service: Service) -> str:
    """An error without the path to the router's folder."""
    folder = service.settings.router_dir
    return str(error).replace(str(folder), folder.name)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _llms_body(loaded: LoadedRouter) -> bytes:
    router = loaded.router
    means = [mean if np.isfinite(mean) else None for mean in router.llm_mean_.tolist()]
    llms = [{"llm_id": name, "train_mean": mean} for name, mean in zip(router.llm_ids_, means, strict=True)]
    return json.dumps({"router_version": loaded.version, "router": router.label, "llms": llms}).encode()
