"""recroute serve: a fitted router over HTTP."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from recroute.cli.experiment import Asked, experiment
from recroute.cli.options import Option
from recroute.cli.screen import Screen
from recroute.errors import RecrouteError
from recroute.serve.settings import LIMITS, ServeSettings
from recroute.util.files import write_json

Facts = Mapping[str, Any]
log = logging.getLogger("recroute.serve")
TOKEN = "RECROUTE_TOKEN"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
HOST = Option("host", str, "127.0.0.1", help="Address to listen on.")
PORT = Option("port", int, 8000, help="Port; 0 takes a free one.", low=0, high=65535)
WORKERS = Option("workers", int, 1, help="Processes that serve, each with its own copy of the router.", low=1, high=999)
TOKEN_FILE = Option(
    "token_file",
    Path | None,
    None,
    help=f"File with the token that requests must carry (default: ${TOKEN}, if set).",
    panel=LIMITS,
)


@experiment(ServeSettings, HOST, PORT, WORKERS, TOKEN_FILE, outputs=("json",), min_coverage=False)
def serve(asked: Asked) -> None:
    """Serve a fitted router over HTTP until it is stopped: POST /route, POST /feedback and more, see /docs.

    Needs the extra serve (see recroute env). After SIGTERM or Ctrl-C, requests under way are answered first. --json
    says where the service listens.

    Example: recroute serve my_router --feedback feedback --explore epsilon:0.05
    """
    _check_extra()
    from recroute.serve.app import create_app
    from recroute.serve.log import configure
    from recroute.serve.run import bind, bind_shared, run
    from recroute.serve.supervise import supervise

    chosen, settings = asked.chosen, asked.settings
    asked.check(settings.router_dir, settings.feedback_dir, chosen.token_file, into=settings.feedback_dir)
    settings = replace(settings, token=_token(chosen.token_file))
    configure(settings.access_log, chosen.quiet)
    host = chosen.host

    def announce(facts: Facts, listener: socket.socket) -> None:
        port = listener.getsockname()[1]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        facts = {"url": url, "pid": os.getpid(), "workers": chosen.workers, **facts}
        warning = None
        if host not in LOOPBACK and settings.token is None:
            warning = f"everybody who can reach {host} can use this service; set {TOKEN} or --token-file"
        if settings.access_log == "json":
            log.info("listening on %s", url, extra={"fields": facts | {"warning": warning}})
        else:
            _announce(facts, settings, asked.screen)
            if warning is not None:
                asked.screen.say(f"warning: {warning}", style="yellow")
        if chosen.json_path is not None:  # last: whoever waits for the file finds the service
            write_json(chosen.json_path, {**facts, "host": host, "port": port})

    if chosen.workers == 1:
        with bind(host, chosen.port) as listener:
            app = create_app(settings)
            announce(app.state.service.facts(), listener)
            run(app, listener, patience=settings.timeout)
    else:
        with bind_shared(host, chosen.port, chosen.workers) as listeners:
            supervise(settings, listeners, chosen.quiet, lambda facts: announce(facts, listeners[0]))


def _check_extra() -> None:
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as missing:
        raise RecrouteError(f"serving needs {missing.name}; install it with: pip install 'recroute[serve]'") from None


def _announce(facts: Facts, settings: ServeSettings, screen: Screen) -> None:
    workers = f", {facts['workers']} workers" if facts["workers"] > 1 else ""
    kept = "none is kept (--feedback DIR)"
    if settings.feedback_dir is not None:
        kept = f"{settings.feedback_dir}, {'with' if settings.log_prompts else 'without'} the prompts' texts"
    lines = [
        f"{facts['router']}, {facts['n_llms']} LLMs, version {facts['router_version']}: {facts['url']} "
        f"(documentation: {facts['url']}/docs){workers}",
        f"feedback: {kept}",
    ]
    if settings.explore != "none":
        lines.append(f"exploration: {settings.explore}, seed {facts['seed']}")
    screen.say(*lines)


def _token(path: Path | None) -> str | None:
    """The token from a file, else from the environment; not from the command line, which every user can read."""
    if path is None:
        return os.environ.get(TOKEN)
    return path.read_text(encoding="utf8").strip()
