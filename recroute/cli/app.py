"""The application, its exit codes, and how errors are shown."""

from __future__ import annotations

import os
import sys
import traceback

import typer
from rich.console import Console

from recroute._version import __version__
from recroute.cli import (
    coldstart,
    data,
    demo,
    evaluate,
    fit,
    frontier,
    off_policy,
    onboard,
    pool,
    report,
    route,
    routers,
    scale,
    serve,
    tune,
)
from recroute.errors import RecrouteError

INTERRUPTED = 130

app = typer.Typer(
    name="recroute",
    help="LLM routing as collaborative filtering: retrieve the LLM for the data.",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("demo")(demo.demo)
app.add_typer(data.app, name="data")
app.command("routers")(routers.routers)
app.command("fit")(fit.fit)
app.command("route")(route.route)
app.command("serve")(serve.serve)
app.command("evaluate")(evaluate.evaluate)
app.command("frontier")(frontier.frontier)
app.command("scale")(scale.scale)
app.command("tune")(tune.tune)
app.command("coldstart")(coldstart.coldstart)
app.command("onboard")(onboard.onboard)
app.command("pool")(pool.pool)
app.command("off-policy")(off_policy.off_policy)
app.command("report")(report.report)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"recroute {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def main() -> None:
    """Run the command line. Exit code 0: done, 2: bad usage or input (one line), 1: a defect of ours."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    try:
        code = app(args=arguments or ["--help"], prog_name="recroute", standalone_mode=False)
    except (RecrouteError, typer.TyperException) as error:
        return _refuse(error.format_message() if hasattr(error, "format_message") else str(error))
    except BrokenPipeError:  # the reader of our output, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            traceback.print_exc()
            return 1
        return _refuse(f"{error.filename}: {error.strerror}")
    except Exception:  # noqa: BLE001  the last place before the interpreter: a defect is shown whole
        traceback.print_exc()
        return 1
    if code == INTERRUPTED:  # typer's own answer to Ctrl-C, and ours to one that left a partial result
        return _refuse("interrupted", code=INTERRUPTED)
    return code if isinstance(code, int) else 0


def _refuse(message: str, code: int = 2) -> int:
    line = " ".join(message.split())
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"recroute: {line}", markup=False)
    return code
