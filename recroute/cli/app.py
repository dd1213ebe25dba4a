"""The application and its verbs."""

from __future__ import annotations

import sys

import typer

from recroute._version import __version__
from recroute.cli.ending import INTERRUPTED, failed, flush, refuse
from recroute.cli.lazy import Verb, lazy_group
from recroute.cli.screen import prepare_streams
from recroute.errors import on_command_line

START, DATA, FIT = "Start here", "Data", "Fit and route"
COMPARE, NEW, SERVICE = "Compare", "New LLMs", "In service"
VERBS = {  # in the order of the help; each is imported when it runs
    "demo": Verb("recroute.cli.demo:demo", START, "The whole story on simulated LLMs, in under a minute."),
    "routers": Verb("recroute.cli.routers:routers", START, "List the routers and their hyperparameters."),
    "env": Verb("recroute.cli.env:env", START, "What is installed here, and what an extra would add."),
    "data": Verb("recroute.cli.data:app", DATA, "Import, download, look at and examine data sets."),
    "fit": Verb("recroute.cli.fit:fit", FIT, "Fit a router on a data set and save it."),
    "tune": Verb("recroute.cli.tune:tune", FIT, "Search for the best router and its hyperparameters."),
    "route": Verb("recroute.cli.route:route", FIT, "Name the LLM for each prompt."),
    "evaluate": Verb("recroute.cli.evaluate:evaluate", COMPARE, "Routing quality of routers, all LLMs to choose from."),
    "scale": Verb("recroute.cli.scale:scale", COMPARE, "Routing quality as the pool of LLMs grows."),
    "frontier": Verb("recroute.cli.frontier:frontier", COMPARE, "What quality costs."),
    "cascade": Verb(
        "recroute.cli.cascade:cascade", COMPARE, "Several attempts at a prompt: score, calls and cost by policy."
    ),
    "pool": Verb("recroute.cli.pool:pool", COMPARE, "The few LLMs worth deploying."),
    "report": Verb("recroute.cli.report:report", COMPARE, "One HTML file from one run or several."),
    "coldstart": Verb("recroute.cli.coldstart:coldstart", NEW, "How few answers suffice to route to an unseen LLM."),
    "onboard": Verb("recroute.cli.onboard:onboard", NEW, "Take a new LLM into a fitted router, or one out."),
    "serve": Verb("recroute.cli.serve:serve", SERVICE, "Answer which LLM a prompt goes to, over HTTP."),
    "refresh": Verb("recroute.cli.refresh:refresh", SERVICE, "Take feedback into a router without a new fit."),
    "off-policy": Verb("recroute.cli.off_policy:off_policy", SERVICE, "Judge other routers by the log of one in use."),
}
GROUPS = {name for name, verb in VERBS.items() if verb.place.endswith(":app")}
app = typer.Typer(
    name="recroute",
    cls=lazy_group(VERBS),
    help="LLM routing as collaborative filtering: retrieve the LLM for the data.\n\nExample: recroute demo",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"recroute {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    pass


def _or_help(arguments: list[str]) -> list[str]:
    """What was typed; a group of verbs alone shows its help."""
    alone = not arguments or (len(arguments) == 1 and arguments[0] in GROUPS)
    return [*arguments, "--help"] if alone else arguments


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    prepare_streams()
    streams = sys.stdout, sys.stderr
    try:
        with on_command_line():
            code = app(args=_or_help(arguments), prog_name="recroute", standalone_mode=False)
    except SystemExit as left:
        if not isinstance(left.__context__, BrokenPipeError):  # which the printers of help and version turn into this
            raise
        code, (sys.stdout, sys.stderr) = 0, streams  # without the wrappers that hide what is left to be flushed
    except BaseException as error:  # noqa: BLE001  the last place before the interpreter; a panic of Rust is no Exception
        code = failed(error)
    if code == INTERRUPTED:  # typer's own answer to Ctrl-C, and ours to one that left a partial result
        refuse("interrupted", INTERRUPTED)
    return flush(code if isinstance(code, int) else 0)
