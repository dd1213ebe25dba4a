"""recroute serve: a fitted router over HTTP."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recroute.cli.options import OUTPUTS, QUIET, Option, verb
from recroute.cli.places import check_places
from recroute.cli.screen import Screen, console
from recroute.errors import RecrouteError
from recroute.util.files import write_json

if TYPE_CHECKING:
    from recroute.serve.service import Service
    from recroute.serve.settings import Settings

TOKEN = "RECROUTE_TOKEN"
LEARN, LIMITS = "Feedback and exploration", "Limits"


ROUTER_DIR = Option(
    "router_dir", Path, help="Folder of a fitted router; when it changes, the new one serves.", is_argument=True
)
HOST = Option("host", str, "127.0.0.1", help="Address to listen on.")
PORT = Option("port", int, 8000, help="Port; 0 takes a free one.", low=0, high=65535)
POLL = Option("poll", float, 2.0, help="Seconds between looks at the router's folder; 0: POST /reload only.", low=0)
OF_LEARNING = (
    Option(
        "feedback",
        Path | None,
        None,
        help="Folder for decisions and feedback; without it there are none.",
        panel=LEARN,
    ),
    Option(
        "explore",
        str,
        "none",
        help="none; epsilon:0.05, a share of uniform choices; thompson or thompson:256, by so many draws of the "
        "scores. Propensities are kept with the feedback.",
        panel=LEARN,
    ),
    Option(
        "seed",
        int | None,
        None,
        help="Random seed for exploration (default: random, printed at start-up).",
        panel=LEARN,
        low=0,
        high=2**31 - 1,
    ),
    Option(
        "log_prompts",
        bool,
        False,
        flag="--log-prompts",
        help="Keep the prompts' texts with decisions and feedback.",
        panel=LEARN,
    ),
)
TOKEN_FILE = Option(
    "token_file",
    Path | None,
    None,
    help=f"File with a token that requests have to carry. Default: ${TOKEN}, if set.",
    panel=LIMITS,
)
OF_LIMITS = (  # by the names of the service's settings
    Option("max_body", int, 4_000_000, help="Bytes of a request.", panel=LIMITS, low=1),
    Option("max_prompts", int, 256, help="Prompts of a request.", panel=LIMITS, low=1),
    Option("max_chars", int, 100_000, help="Characters of a prompt.", panel=LIMITS, low=1),
    Option("timeout", float, 10.0, help="Seconds for a request.", panel=LIMITS, low=0.001),
)
THREADS = Option("threads", int | None, None, help="Threads that route. Default: one per core.", panel=LIMITS, low=1)


@verb(ROUTER_DIR, HOST, PORT, *OF_LEARNING, TOKEN_FILE, *OF_LIMITS, THREADS, POLL, OUTPUTS["json"], QUIET)
def serve(chosen: Any) -> None:
    """Serve a fitted router over HTTP until it is stopped: POST /route, POST /feedback and more, see /docs.

    Needs the extra serve (see recroute env). SIGTERM and Ctrl-C answer what is under way first. --json says where it
    listens.

    Example: recroute serve my_router --feedback feedback --explore epsilon:0.05
    """
    _check_extra()
    from recroute.serve.app import create_app
    from recroute.serve.run import bind, run
    from recroute.serve.settings import LOOPBACK

    check_places(chosen.json_path, into=chosen.feedback, inputs=(chosen.router_dir, chosen.feedback, chosen.token_file))
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("recroute.serve").setLevel(logging.ERROR if chosen.quiet else logging.INFO)
    settings, host = _settings(chosen), chosen.host
    with bind(host, chosen.port) as listener:
        app = create_app(settings)
        port = listener.getsockname()[1]
        facts = _facts(app.state.service, f"http://{f'[{host}]' if ':' in host else host}:{port}")
        screen = console(chosen.quiet, chosen.json_path)
        _announce(facts, settings, screen)
        if host not in LOOPBACK and settings.token is None:
            warning = f"warning: everybody who reaches {host} may use this; set {TOKEN} or --token-file"
            screen.say(warning, style="yellow")
        if chosen.json_path is not None:  # last: whoever waits for the file finds the service
            write_json(chosen.json_path, {**facts, "host": host, "port": port})
        run(app, listener, patience=settings.timeout)


def _check_extra() -> None:
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as missing:
        raise RecrouteError(f"serving needs {missing.name}; install it with: pip install 'recroute[serve]'") from None


def _settings(chosen: Any) -> Settings:
    """The settings of the service."""
    from recroute.serve.settings import Settings

    return Settings(
        router_dir=chosen.router_dir,
        feedback_dir=chosen.feedback,
        explore=chosen.explore,
        seed=chosen.seed,
        token=_token(chosen.token_file),
        log_prompts=chosen.log_prompts,
        threads=chosen.threads or os.cpu_count() or 1,
        poll=chosen.poll,
        **{option.name: getattr(chosen, option.name) for option in OF_LIMITS},
    )


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


def _announce(facts: dict[str, Any], settings: Settings, screen: Screen) -> None:
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
    screen.say(*lines)


def _token(path: Path | None) -> str | None:
    """The token of a file, else of the environment; every user of a machine can read a command line."""
    if path is None:
        return os.environ.get(TOKEN)
    return path.read_text(encoding="utf8").strip()
