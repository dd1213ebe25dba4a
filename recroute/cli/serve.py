"""recroute serve: a fitted router over HTTP."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from recroute.cli.options import JsonPath, Quiet
from recroute.cli.places import check_places
from recroute.cli.screen import console
from recroute.errors import RecrouteError
from recroute.util.files import write_json

if TYPE_CHECKING:
    from recroute.serve.service import Service
    from recroute.serve.settings import Settings

TOKEN = "RECROUTE_TOKEN"
LEARN, LIMITS = "Feedback and exploration", "Limits"


def serve(
    router_dir: Annotated[Path, typer.Argument(help="Folder of a fitted router; when it changes, the new one serves.")],
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    feedback: Annotated[
        Path | None,
        typer.Option(
            "--feedback", rich_help_panel=LEARN, help="Folder for decisions and feedback; without it there are none."
        ),
    ] = None,
    explore: Annotated[
        str,
        typer.Option(
            "--explore",
            rich_help_panel=LEARN,
            help="none; epsilon:0.05, a share of uniform choices; thompson or thompson:256, by so many draws of the "
            "scores. Propensities are kept with the feedback.",
        ),
    ] = "none",
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed", rich_help_panel=LEARN, min=0, max=2**31 - 1, help="Of the exploration. Default: drawn, and said."
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            rich_help_panel=LIMITS,
            help=f"File with a token that requests have to carry. Default: ${TOKEN}, if set.",
        ),
    ] = None,
    log_prompts: Annotated[
        bool,
        typer.Option(
            "--log-prompts", rich_help_panel=LEARN, help="Keep the prompts' texts with decisions and feedback."
        ),
    ] = False,
    max_body: Annotated[
        int, typer.Option("--max-body", rich_help_panel=LIMITS, min=1, help="Bytes of a request.")
    ] = 4_000_000,
    max_prompts: Annotated[
        int, typer.Option("--max-prompts", rich_help_panel=LIMITS, min=1, help="Prompts of a request.")
    ] = 256,
    max_chars: Annotated[
        int, typer.Option("--max-chars", rich_help_panel=LIMITS, min=1, help="Characters of a prompt.")
    ] = 100_000,
    timeout: Annotated[
        float, typer.Option("--timeout", rich_help_panel=LIMITS, min=0.001, help="Seconds for a request.")
    ] = 10.0,
    threads: Annotated[
        int | None,
        typer.Option("--threads", rich_help_panel=LIMITS, min=1, help="Threads that route. Default: one per core."),
    ] = None,
    poll: Annotated[
        float, typer.Option("--poll", min=0, help="Seconds between looks at the router's folder; 0: POST /reload only.")
    ] = 2.0,
    json_path: JsonPath = None,
    quiet: Quiet = False,
) -> None:
    """Serve a fitted router over HTTP until it is stopped: POST /route, POST /feedback and more, see /docs.

    Needs the extra serve (see recroute env). SIGTERM and Ctrl-C answer what is under way first. --json says where it
    listens.

    Example: recroute serve my_router --feedback feedback --explore epsilon:0.05
    """
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as missing:
        raise RecrouteError(f"serving needs {missing.name}; install it with: pip install 'recroute[serve]'") from None
    from recroute.serve.app import create_app
    from recroute.serve.run import bind, run
    from recroute.serve.settings import LOOPBACK, Settings

    check_places(json_path, into=feedback, inputs=(router_dir, feedback, token_file))
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("recroute.serve").setLevel(logging.ERROR if quiet else logging.INFO)
    settings = Settings(
        router_dir=router_dir,
        feedback_dir=feedback,
        explore=explore,
        seed=seed,
        token=_token(token_file),
        log_prompts=log_prompts,
        max_body=max_body,
        max_prompts=max_prompts,
        max_chars=max_chars,
        timeout=timeout,
        threads=threads or os.cpu_count() or 1,
        poll=poll,
    )
    with bind(host, port) as listener:
        app = create_app(settings)
        service = app.state.service
        port = listener.getsockname()[1]
        facts = _facts(service, f"http://{f'[{host}]' if ':' in host else host}:{port}")
        screen = console(quiet, json_path)
        _announce(facts, settings, screen)
        if host not in LOOPBACK and settings.token is None:
            warning = f"warning: everybody who reaches {host} may use this; set {TOKEN} or --token-file"
            screen.print(warning, style="yellow", markup=False, soft_wrap=True)
        if json_path is not None:  # last: whoever waits for the file finds the service
            write_json(json_path, {**facts, "host": host, "port": port})
        run(app, listener, patience=timeout)


def _facts(service: Service, url: str) -> dict[str, Any]:
    """What a program has to know of the service."""
    now, settings = service.live.current, service.settings
    return {
        "url": url,
        "pid": os.getpid(),
        "router": now.router.label,
        "router_version": now.version,
        "n_llms": len(now.router.llm_ids_),
        "feedback": None if settings.feedback_dir is None else str(settings.feedback_dir),
        "explore": settings.explore,
        "seed": service.answer.dice.seed,
    }


def _announce(facts: dict[str, Any], settings: Settings, screen: Console) -> None:
    kept = "none is kept (--feedback DIR)"
    if settings.feedback_dir is not None:
        kept = f"{settings.feedback_dir}, {'with' if settings.log_prompts else 'without'} the prompts' texts"
    lines = [
        f"{facts['router']}, {facts['n_llms']} LLMs, version {facts['router_version']}: {facts['url']} "
        f"(documentation: {facts['url']}/docs)",
        f"feedback: {kept}",
    ]
    if settings.explore != "none":
        lines.append(f"exploration: {settings.explore}, seed {facts['seed']}")
    for line in lines:
        screen.print(line, markup=False, soft_wrap=True)


def _token(path: Path | None) -> str | None:
    """The token of a file, else of the environment; every user of a machine can read a command line."""
    if path is None:
        return os.environ.get(TOKEN)
    return path.read_text(encoding="utf8").strip()
