"""Options and printing that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import Parameter, Signature
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import typer
from rich.console import Console

from recroute.cli.screen import Screen, progress_bar
from recroute.data import Dataset, Precomputed, read_dataset
from recroute.encoders import SentenceEncoder, encode_dataset
from recroute.encoders.choose import agreement
from recroute.errors import RecrouteError

# Panels of a verb's help.
DATA, COST, OUTPUT = "Data and split", "Cost", "Output"


def complete_router(incomplete: str) -> list[str]:
    """Registry names for Tab; a path of a saved configuration is the shell's own business."""
    from recroute.routers import router_names

    return [name for name in router_names() if name.startswith(incomplete)]


@dataclass(frozen=True)
class Option:
    """One option or argument of a verb.

    Parameters
    ----------
    name : str
        Of the function's parameter.
    of : type
    default
        Without one it has to be given.
    flag : str
        As a person types it; default: the name with dashes.
    help : str
    panel : str, optional
    low, high : float, optional
    is_argument : bool
    metavar : str, optional
        What stands for an argument in the line of usage.
    complete : callable, optional
        What Tab offers.
    """

    name: str
    of: Any
    default: Any = Parameter.empty
    flag: str = ""
    help: str = ""
    panel: str | None = None
    low: float | None = None
    high: float | None = None
    is_argument: bool = False
    metavar: str | None = None
    complete: Callable[[str], list[str]] | None = None

    def with_default(self, default: Any) -> Option:
        return replace(self, default=default)

    def parameter(self) -> Parameter:
        """The parameter of a verb, as Typer reads it."""
        told: Any
        if self.is_argument:
            told = typer.Argument(help=self.help, metavar=self.metavar, autocompletion=self.complete)
        else:
            told = typer.Option(
                self.flag or f"--{self.name.replace('_', '-')}",
                help=self.help,
                rich_help_panel=self.panel,
                min=self.low,
                max=self.high,
                autocompletion=self.complete,
            )
        return Parameter(self.name, Parameter.KEYWORD_ONLY, default=self.default, annotation=Annotated[self.of, told])


def verb(*options: Option) -> Callable[[Callable[[Any], None]], Callable[..., None]]:
    """Decorator: makes a verb of a function, which gets one object with the value of each option by its name.

    An option without a default has to be given; those come first.
    """
    parameters = sorted((option.parameter() for option in options), key=lambda p: p.default is not Parameter.empty)

    def decorate(function: Callable[[Any], None]) -> Callable[..., None]:
        def called(**values: Any) -> None:
            function(SimpleNamespace(**values))

        called.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {p.name: p.annotation for p in parameters}
        called.__name__, called.__doc__ = function.__name__, function.__doc__
        return called

    return decorate


ROUTER_HELP = "Registry name, perhaps as 'knn(n_neighbors=100)', or saved TOML; repeated. Default: auto."
ROUTERS = Option("router", list[str], ["auto"], help=ROUTER_HELP, complete=complete_router)
ROUTER = Option(
    "router",
    str,
    "auto",
    help="Registry name, perhaps as 'knn(n_neighbors=100)', or saved TOML.",
    complete=complete_router,
)
COST_OPTION = Option(
    "cost",
    str | None,
    None,
    help="What counts as cost: a column where lower is better, several as 'usd=1,latency_s=0.01', or prices (those of "
    "the LLM table). Default: the column cost, in USD.",
    panel=COST,
)
SEED = Option("seed", int, 0, help="Seed of the split and of the routers.", panel=DATA, low=0, high=2**31 - 1)
SPLIT = Option(
    "split",
    str | None,
    None,
    help="own: the data set's split column; random: 80/10/10. Default: own if there.",
    panel=DATA,
)
SETTINGS = Option("given", list[str] | None, None, flag="--set", help="Hyperparameter as name=value; may be repeated.")
SEEDS = Option("seeds", int, 1, help="Number of seeds, counted up from --seed.", low=1)
MIN_COVERAGE = Option(
    "min_coverage",
    float,
    0.0,
    help="Keep LLMs evaluated on at least this share of the instances.",
    panel=DATA,
    low=0,
    high=1,
)
OUTPUTS = {
    "json": Option(
        "json_path",
        Path | None,
        None,
        flag="--json",
        help="Write the result as JSON to this file; - is standard output.",
        panel=OUTPUT,
    ),
    "html": Option(
        "html", Path | None, None, help="Write a report as one HTML file that needs no network.", panel=OUTPUT
    ),
    "run": Option(
        "out",
        Path | None,
        None,
        help="Write the run to this folder: configuration, choices, result, environment.",
        panel=OUTPUT,
    ),
    "png": Option("png", Path | None, None, help="Save the curve as a picture.", panel=OUTPUT),
    "csv": Option(
        "csv",
        Path | None,
        None,
        help="Write the rows of the result as a table; - is standard output.",
        panel=OUTPUT,
    ),
}
QUIET = Option("quiet", bool, False, flag="--quiet", help="Print neither progress nor tables.", panel=OUTPUT)

DATASET = Option(
    "dataset", Path, help="A dataset folder, or a table of scores (CSV, JSON lines, Parquet, Arrow).", is_argument=True
)
ROUTER_DIR = Option("router_dir", Path, help="Folder of a fitted router.", is_argument=True)


def read_data(path: Path, cost: str | None, screen: Screen) -> Dataset:
    """The data set at a place; what had to be guessed of a table is noted."""
    data = read_dataset(path, cost=cost)
    if path.is_file():
        screen.note(*data.card.get("notes", ()))
    return data


def encode_prompts(data: Dataset, encoder: str, screen: Console) -> Dataset:
    """The data set with vectors of the sentence encoder that --encoder names; itself where it names none."""
    with progress_bar(f"encoding prompts of {data.name}", screen.quiet) as progress:
        found = encode_dataset(data, encoder, progress)
    if isinstance(data.encoder, Precomputed) and isinstance(found.encoder, SentenceEncoder):
        screen.print(agreement(data, found), markup=False, soft_wrap=True)
    return found


def settings(items: list[str]) -> dict[str, str]:
    """The values of a repeated --set name=value."""
    pairs = {}
    for item in items:
        name, sign, value = item.partition("=")
        if not sign:
            raise RecrouteError(f"--set {item!r} is not of the form name=value")
        pairs[name.strip()] = value.strip()
    return pairs


def whole_numbers(text: str, option: str) -> list[int]:
    """The values of an option such as 3,10,100."""
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise RecrouteError(f"{option} {text!r} is not a list of whole numbers such as 3,10,100") from None


def texts(text: str, option: str) -> list[str]:
    """The values of an option such as a,b,c."""
    return [part.strip() for part in text.split(",") if part.strip()]


def numbers(text: str, option: str) -> list[float]:
    """The values of an option such as .01,.1,1."""
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise RecrouteError(f"{option} {text!r} is not a list of numbers such as .01,.1,1") from None
