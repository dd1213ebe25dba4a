"""Verbs of experiments: options made from settings, and what is the same for all: read, run, write, show, end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, Field, dataclass, fields
from functools import cached_property, wraps
from inspect import Parameter
from pathlib import Path
from typing import Any, cast

import typer

from recroute.cli.options import (
    MIN_COVERAGE,
    OUTPUTS,
    QUIET,
    SEED,
    SEEDS,
    Option,
    complete_router,
    encode_prompts,
    numbers,
    read_data,
    texts,
    verb,
    whole_numbers,
)
from recroute.cli.places import check_places
from recroute.cli.screen import Screen, console, progress_bar
from recroute.data import Dataset
from recroute.experiment.provenance import file_digests
from recroute.experiment.result import RESULT, Result
from recroute.routers import Router, make_router
from recroute.util.files import is_stream
from recroute.util.settings import Settings, list_of

INTERRUPTED = 130  # as a shell reports Ctrl-C
PARSERS: dict[str, Callable[[str, str], Sequence[Any]]] = {"int": whole_numbers, "float": numbers, "str": texts}


@dataclass(frozen=True)
class Asked:
    """What a person asked of an experiment: the options chosen, the settings made of them, and the steps of each."""

    chosen: Any
    cls: type[Settings]
    outputs: Sequence[str]
    sources: Sequence[Path] = ()

    @property
    def source(self) -> Path | None:
        """What is read, if one thing is."""
        return self.sources[0] if self.sources else None

    @cached_property
    def settings(self) -> Any:
        """The settings, checked."""
        return self.cls(**_values(self.cls, vars(self.chosen)))

    @cached_property
    def screen(self) -> Screen:
        """Where a person reads the result: standard output, unless one of the outputs takes it."""
        return console(self.chosen.quiet, *self._files)

    @property
    def _files(self) -> list[Path]:
        return [path for name, path in self._places.items() if name != "run"]

    @property
    def _places(self) -> dict[str, Path]:
        """Where each output goes that was asked for."""
        return {name: path for name in self.outputs if (path := getattr(self.chosen, OUTPUTS[name].name)) is not None}

    def routers(self) -> list[Router]:
        """Those of --router."""
        return [make_router(name) for name in self._router_names]

    def check(
        self, *inputs: str | Path | None, folders: Mapping[Path, str] | None = None, into: Path | None = None
    ) -> None:
        """Refuse outputs that cannot be written, or that would harm an input, before the work is done."""
        folders = {**({self._places["run"]: RESULT} if "run" in self._places else {}), **(folders or {})}
        inputs = (*self.sources, *self._router_names, *inputs)
        check_places(*self._files, folders=folders, into=into, inputs=inputs)

    @property
    def _router_names(self) -> list[str]:
        names = getattr(self.chosen, "router", None) or []
        return [names] if isinstance(names, str) else names

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of the files of the sources, taken before they are read."""
        if len(self.sources) == 1:
            return file_digests(self.sources[0])
        return {f"{source}/{name}": text for source in self.sources for name, text in file_digests(source).items()}

    def data(self, change: Callable[[Dataset], Dataset] | None = None) -> Dataset:
        """The data set, covered and encoded as asked; `change` sees it as it was read."""
        return self.encoded(self.read(change))

    def read(self, change: Callable[[Dataset], Dataset] | None = None) -> Dataset:
        """The same with the vectors that it was read with."""
        _ = self.digests
        found = read_data(cast(Path, self.source), getattr(self.chosen, "cost", None), self.screen)
        return (found if change is None else change(found)).take_covered(self.chosen.min_coverage)

    def encoded(self, data: Dataset) -> Dataset:
        """The data set with vectors of the encoder that is asked for."""
        return encode_prompts(data, self.settings.encoder, self.screen)

    @contextmanager
    def progress(self, label: str) -> Iterator[Callable[..., None]]:
        """A bar on standard error for the library to call."""
        with progress_bar(label, self.chosen.quiet) as progress:
            yield progress

    def conclude(self, result: Result, *lines: str) -> None:
        """Write the files, then print the result and these lines; end with 130 if the run was interrupted."""
        found = with_origin(result, None if self.source is None else self.digests)
        self.write(found)
        found.show(self.screen)
        for line in lines:
            self.screen.print(line, markup=False)
        finish(found)

    def write(self, result: Result) -> None:
        """Write what was asked for; the run folder first, because everything else can be made from it."""
        places = self._places
        if (folder := places.pop("run", None)) is not None:
            result.write_run(folder, vars(self.chosen))
        write_files(result, places)


def write_files(result: Result, places: Mapping[str, Path | None]) -> None:
    """Write a result to the places of "json", "csv", "html" and "png".

    Pipes and standard output come last: whoever reads them may leave, and the files are there.
    """
    writers: dict[str, Callable[[Path], None]] = {
        "json": result.write_json,
        "csv": result.write_csv,
        "html": result.write_html,
        "png": result.write_png,
    }
    named = [(path, write) for name, write in writers.items() if (path := places.get(name)) is not None]
    for path, write in sorted(named, key=lambda item: is_stream(item[0])):
        write(path)


def finish(result: Result) -> None:
    """End with 130 if the run was interrupted."""
    if not result.info.get("complete", True):
        raise typer.Exit(INTERRUPTED)


def with_origin(result: Any, digests: Mapping[str, str] | None) -> Any:
    """The result with the command line and the digests of the data's files."""
    dataset = dict(result.info["dataset"]) | ({} if digests is None else {"sha256": dict(digests)})
    return result.with_info(command=["recroute", *sys.argv[1:]], dataset=dataset)


def experiment(
    cls: type[Settings],
    *own: Option,
    outputs: Sequence[str] = ("json", "html", "png", "csv"),
    min_coverage: bool = True,
) -> Callable[[Callable[[Asked], None]], Callable[..., None]]:
    """Decorator: a `verb` whose function gets what is `Asked`.

    Its options are `own` (an argument among them names what is read), those of the settings, and the outputs that it
    can write.
    """

    def decorate(function: Callable[[Asked], None]) -> Callable[..., None]:
        options = [*own, *(_option(f) for f in fields(cls) if f.metadata["option"] != "" and f.name != "seeds")]
        if min_coverage:
            options.append(MIN_COVERAGE)
        known = {f.name: f for f in fields(cls)}
        if "seeds" in known:
            options += [SEED, SEEDS.with_default(len(cast(Any, known["seeds"].default)))]
        options += [*(OUTPUTS[name] for name in outputs), QUIET]

        @wraps(function)
        def run(chosen: Any) -> None:
            source: Any = next((getattr(chosen, option.name) for option in own if option.is_argument), [])
            function(Asked(chosen, cls, outputs, source if isinstance(source, list) else [source]))

        return verb(*options)(run)

    return decorate


def _option(f: Field[Any]) -> Option:
    """The option of a setting; the argument, if it has no default."""
    meta, kind, default = f.metadata, list_of(f), cast(Any, f.default)
    made = f.default_factory is not MISSING  # the default, when the settings are made
    optional = made or "None" in str(f.type)
    default = None if made else default
    if kind is not None:
        of: Any = list[str] if meta["repeated"] else str
        if not meta["repeated"]:
            default = None if default is None else ",".join(map(_shown, default))
        elif default is not None:
            default = list(default)
        low = high = None
    else:
        of = {"str": str, "int": int, "float": float, "bool": bool, "Path": Path}[str(f.type).split(" ")[0]]
        low, high = (None, None) if of in (str, bool, Path) else (meta["low"], meta["high"])
    name = meta["option"] or f"--{f.name.replace('_', '-')}"
    return Option(
        f.name,
        of | None if optional or default is None else of,
        Parameter.empty if default is MISSING else default,
        flag=f"{name}/--no-{name[2:]}" if of is bool else name,
        help=meta["help"],
        panel=meta["panel"],
        low=low,
        high=high,
        is_argument=default is MISSING,
        complete=complete_router if name == "--router" else None,
    )


def _shown(entry: Any) -> str:
    return f"{entry:g}".lstrip("0") or "0" if isinstance(entry, float) else str(entry)


def _values(cls: type[Settings], options: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the settings among the options, lists parsed."""
    found: dict[str, Any] = {}
    for f in fields(cls):
        if f.name == "seeds":
            found["seeds"] = range(options["seed"], options["seed"] + options["seeds"])
        elif f.name in options and not (options[f.name] is None and f.default_factory is not MISSING):
            value, kind = options[f.name], list_of(f)
            if kind is not None and isinstance(value, str):
                value = PARSERS[kind](value, f.metadata["option"] or f"--{f.name.replace('_', '-')}")
            found[f.name] = value
    return found
