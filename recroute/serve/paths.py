"""Paths below a prefix, and the documentation page."""

from __future__ import annotations

from collections.abc import Container
from importlib.util import find_spec
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse
from starlette.types import Scope

SCRIPT, STYLE = "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"
OPEN = ("/", "/healthz", "/docs", "/openapi.json", SCRIPT, STYLE)  # need no token: no prompts, LLMs or choices
ONE_DAY = {"Cache-Control": "max-age=86400"}


def located(scope: Scope, prefix: str, known: Container[str]) -> tuple[Scope, str]:
    """The request as ASGI describes one below a prefix, and its path without prefix and slash at the end.

    `prefix` is that of a proxy, which may remove it from the path or not. A parent application or an ASGI server has a
    `root_path` of its own, which is part of the path.

    >>> located({"path": "/docs/"}, "/router", OPEN)
    ({'path': '/router/docs', 'root_path': '/router'}, '/docs')
    >>> located({"path": "/app/llms", "root_path": "/app"}, "", OPEN)[1]
    '/llms'
    """
    mounted = scope.get("root_path", "").rstrip("/")
    path = _without(mounted, scope["path"]).rstrip("/") or "/"
    if path not in known:
        path = _without(prefix, path) or "/"
    root = prefix + mounted
    return {**scope, "path": root + path, "root_path": root}, path


def _without(prefix: str, path: str) -> str:
    return path[len(prefix) :] if f"{path}/".startswith(f"{prefix}/") else path


def add_docs(app: FastAPI) -> None:
    """Add Swagger UI at /docs; its files come from the package fastapi-offline, or from a CDN if that is missing."""
    package = find_spec("fastapi_offline")
    folder = None if package is None or package.origin is None else Path(package.origin).parent / "static"

    @app.get("/docs", include_in_schema=False)
    async def docs(http: Request) -> HTMLResponse:
        root = http.scope["root_path"]
        own = {"swagger_js_url": root + SCRIPT, "swagger_css_url": root + STYLE, "swagger_favicon_url": "data:,"}
        places = {"openapi_url": f"{root}/openapi.json"} | ({} if folder is None else own)
        return get_swagger_ui_html(title=app.title, **places)

    @app.get("/docs/{name}", include_in_schema=False)
    async def docs_file(http: Request, name: str) -> FileResponse:
        if folder is None or f"/docs/{name}" not in (SCRIPT, STYLE):
            raise HTTPException(404)
        return FileResponse(folder / name, headers=ONE_DAY)
