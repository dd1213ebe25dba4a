"""ASGI middleware: authentication, body size, timeouts, request metrics."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recroute.serve.errors import ServeError, error_response
from recroute.serve.log import log_request
from recroute.serve.metrics import OTHER, Metrics
from recroute.serve.paths import OPEN, located
from recroute.serve.settings import ServeSettings


class Guard:
    """Middleware that checks the token and the size of a request, limits its time and counts it.

    Parameters
    ----------
    app : ASGI application
    settings : ServeSettings
    metrics : Metrics
    paths : mapping
        Time limits in seconds by path. These paths are counted by name, all others together.
    """

    def __init__(self, app: ASGIApp, settings: ServeSettings, metrics: Metrics, paths: Mapping[str, float]) -> None:
        self.app = app
        self.settings = settings
        self.metrics = metrics
        self.paths = paths
        self.known = {*paths, *OPEN}
        self.open = (*OPEN, "/metrics") if settings.open_metrics else OPEN
        self._authorized = None if settings.token is None else f"Bearer {settings.token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        scope, path = located(scope, self.settings.root_path, self.known)
        label = path if path in self.paths else OTHER

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        seconds = self.paths.get(path, self.settings.timeout)
        arrived = False
        try:
            async with asyncio.timeout(seconds):
                self._authorize(scope, path)
                body = await self._body(scope, receive)
                arrived = True
                await self.app(scope, _replay(body, receive), send_counted)
        except (ServeError, TimeoutError) as error:
            refusal = error if isinstance(error, ServeError) else _timeout(seconds, arrived)
            if not status:  # no response has been started
                await error_response(refusal)(scope, receive, send_counted)
        except Exception:
            status = status or 500
            raise
        finally:
            status, taken = status or 499, time.perf_counter() - started
            self.metrics.requests.labels(label, str(status)).inc()
            self.metrics.seconds.labels(label).observe(taken)
            if self.settings.access_log != "none":
                log_request(scope, path, status, taken)

    def _authorize(self, scope: Scope, path: str) -> None:
        if self._authorized is None or path in self.open:
            return
        sent = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        if not hmac.compare_digest(sent, self._authorized):
            raise ServeError(
                401, "this server requires a token: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
            )

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        limit = self.settings.max_body
        refused = ServeError(413, f"the body is larger than {limit} bytes; send less at once", {"Connection": "close"})
        for name, value in scope["headers"]:
            if name == b"content-length" and (not value.isdigit() or len(value) > 18 or int(value) > limit):
                raise refused
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ServeError(400, "the connection was closed before the body was complete", {})
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise refused
            more = message.get("more_body", False)
        return b"".join(parts)


def _timeout(seconds: float, arrived: bool) -> ServeError:
    if arrived:
        return ServeError(503, f"the request took longer than {seconds:g} s; ask for less", {"Retry-After": "1"})
    return ServeError(408, f"the body took longer than {seconds:g} s to arrive", {"Connection": "close"})


def _replay(body: bytes, receive: Receive) -> Receive:
    """A receive channel that gives the whole body first, then the connection's further messages."""
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
