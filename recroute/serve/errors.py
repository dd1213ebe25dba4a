"""Errors as HTTP responses: `{"error": "one clear line", "detail": "the same"}`."""

from __future__ import annotations

import json
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from recroute.errors import RecrouteError

log = logging.getLogger("recroute.serve")
MAX_LINE = 500  # characters; a message may quote the request
HINTS = {404: "no such path; see", 405: "this path does not support the method; see"}


class ServeError(RecrouteError):
    """A request that is refused, with its HTTP status."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


def overloaded() -> ServeError:
    """The error of a request for which no thread is free, nor room to wait for one."""
    return ServeError(503, "too many requests are waiting for a thread; try again soon", {"Retry-After": "1"})


def error_response(error: ServeError) -> Response:
    """The error as JSON: one line of ASCII, whatever it quotes; also as `detail`, the key that FastAPI clients read."""
    line = str(error)
    line = line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 3]}..."
    body = json.dumps({"error": line, "detail": line}).encode()
    return Response(body, error.status, error.headers, media_type="application/json")


def add_handlers(app: FastAPI) -> None:
    """Register handlers that give all errors the same form."""
    handlers: dict[Any, Any] = {
        ServeError: _serve_error,
        RecrouteError: _refused,
        RequestValidationError: _invalid,
        HTTPException: _http,
        Exception: _defect,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _serve_error(request: Request, error: ServeError) -> Response:
    return error_response(error)


async def _refused(request: Request, error: RecrouteError) -> Response:
    return error_response(ServeError(422, str(error)))


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        reason = first.get("ctx", {}).get("error", "it ends too early")
        return error_response(ServeError(400, f"the body is not valid JSON: {reason} at character {first['loc'][-1]}"))
    # Members of a union are named by their type ("list[str]"), which is not a key of the body.
    place = ".".join(str(part) for part in first["loc"][1:] if "[" not in str(part) and part != "str") or "the body"
    return error_response(ServeError(422, f"{place}: {first['msg'].removeprefix('Value error, ')}"))


async def _http(request: Request, error: HTTPException) -> Response:
    hint = HINTS.get(error.status_code)
    message = str(error.detail) if hint is None else f"{hint} {request.scope['root_path']}/docs"
    return error_response(ServeError(error.status_code, message, dict(error.headers or {})))


async def _defect(request: Request, error: Exception) -> Response:
    # Starlette raises the error again afterwards, and the server logs the traceback.
    return error_response(ServeError(500, "a defect of recroute; the server's log has the details"))
