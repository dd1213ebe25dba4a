"""Search space of a study: routers with their hyperparameters, views and calibration, read from TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from recroute.data import Dataset
from recroute.errors import DataError, RouterError, UnknownNameError, argument
from recroute.routers import Router, make_router, router_names
from recroute.routers.registry import router_class
from recroute.tuning.parameter import Parameter, Suggests, Value
from recroute.util.registry import read_toml

EVERY, CALIBRATION = "every", "calibration"
# Fast routers, each among the best of its kind on real data sets. The first trial is the first router with its
# defaults.
ROUTERS = ("auto", "hierarchy", "knn", "ridge", "kmeans", "svd", "embedllm")
Tables = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Space:
    """Routers of a study, each with the values to try for its hyperparameters.

    Parameters
    ----------
    parameters : dict of str to dict of str to Parameter
        Values to try, by router label and hyperparameter. The label is the router's name with its fixed
        hyperparameters. The key "calibration" is not a hyperparameter: it wraps the router in `calibrated` or
        `guarded`.
    """

    parameters: Mapping[str, Mapping[str, Parameter]]

    def suggest(self, trial: Suggests) -> Router:
        """Build the router that a trial proposes."""
        labels = list(self.parameters)
        label = trial.suggest_categorical("router", labels) if len(labels) > 1 else labels[0]
        values = {name: one.suggest(trial, f"{label}.{name}") for name, one in self.parameters[label].items()}
        return build(label, values)

    def defaults(self) -> list[dict[str, Any]]:
        """Trial parameters of each router's default hyperparameters, in order."""
        defaults = []
        for label, parameters in self.parameters.items():
            router = make_router(label)
            values = {**router.hyperparameters(), CALIBRATION: "none"}
            params = {"router": label} if len(self.parameters) > 1 else {}
            for name, one in parameters.items():
                params |= one.encode(values[name], f"{label}.{name}")
            defaults.append(params)
        return defaults

    def to_dict(self) -> Tables:
        """The space in the form of TOML tables."""
        return {label: {k: p.to_dict() for k, p in own.items()} for label, own in self.parameters.items()}


def build(label: str, values: Mapping[str, Value]) -> Router:
    """Build the router `label` with these hyperparameters, wrapped according to the value of `calibration`."""
    given = dict(values)
    calibration = given.pop(CALIBRATION, "none")
    router = make_router(label, **given)
    return router if calibration == "none" else make_router(str(calibration), router=router.label)


def read_space(routers: Sequence[str] = (), path: str | Path | None = None, dataset: Dataset | None = None) -> Space:
    """Read the search space of some routers.

    Parameters
    ----------
    routers : list of str
        Names, optionally with fixed hyperparameters: `svd(bridge=kernel)`. Default: `ROUTERS`.
    path : str or Path, optional
        TOML file that overrides the packaged spaces. It has a table for each router, such as `[svd]`, or `[every]`,
        with an entry for each hyperparameter as in the files in `spaces/`; `false` keeps a hyperparameter at its
        default.
    dataset : Dataset, optional
        Views whose text or vectors it lacks are left out.

    Raises
    ------
    UnknownNameError
        For an unknown router, hyperparameter or key.
    DataError
        If the file cannot be read, or a router has no space.
    """
    own = _read_tables(path)
    for name in own:
        if name not in (EVERY, *router_names()):
            raise UnknownNameError("router", name, [EVERY, *router_names()], where=f" in {path}")
    views = _views(dataset)
    parameters = {}
    for label in dict.fromkeys(routers or ROUTERS):
        router = make_router(label)
        parameters[router.label] = _of_router(router, own, str(path), views)
    return Space(parameters)


def _of_router(router: Router, own: Tables, path: str, views: tuple[str, ...]) -> dict[str, Parameter]:
    """Values to try for the hyperparameters of one router that its label does not fix."""
    free = [f.name for f in router.settings() if getattr(router, f.name) == f.default and f.name != "seed"]
    every = {} if router.is_composite else _packaged(EVERY) | own.get(EVERY, {})
    if "views" not in router.hyperparameters():
        every.pop("views", None)
    specific = _packaged(router.name) | own.get(router.name, {})
    if not specific and not own.get(EVERY):
        raise DataError(
            f"{router.name} has no search space: leave it out (the report includes baselines anyway), or add one with "
            f"{argument('space', 'FILE')} and a table [{router.name}]"
        )
    known = [f.name for f in router_class(router.name).settings()] + [CALIBRATION] * (CALIBRATION in every)
    parameters = {}
    for name, table in (every | specific).items():
        where = f"{router.name}.{name} in {path}" if name in own.get(router.name, {}) else f"{router.name}.{name}"
        if name not in known:
            raise UnknownNameError("hyperparameter", name, known, where=f" of {router.name} in {path}")
        if table is False or (name not in free and name != CALIBRATION):
            continue
        one = Parameter.read(table, where)
        _check_values(router, name, one, where)
        if name == "views":
            one = Parameter(choices=tuple(choice for choice in one.choices or () if choice in views))
        if one.choices is None or len(one.choices) > 1:
            parameters[name] = one
    return parameters


def _check_values(router: Router, name: str, one: Parameter, where: str) -> None:
    """Raise DataError unless the router accepts both ends of the range, or every choice."""
    values: list[Value] = list(one.choices or ()) or [one.low, one.high]
    if one.parts is not None:
        values = [" + ".join(filter(None, [one.always, *one.parts]))]
    for value in values:
        try:
            build(router.label, {name: value})
            if one.parts is not None:
                for part in one.parts:
                    make_router(part)
        except (RouterError, UnknownNameError) as error:
            raise DataError(f"{where}: {error}") from None


def _views(dataset: Dataset | None) -> tuple[str, ...]:
    """Views that give different vectors on the data set."""
    if dataset is None or (dataset.prompts is not None and dataset.embeddings is not None):
        return ("embedding", "tfidf", "all")
    return ("embedding", "all") if dataset.prompts is not None else ("embedding",)


def _packaged(name: str) -> dict[str, Any]:
    file = files("recroute.tuning").joinpath("spaces", f"{name}.toml")
    return tomllib.loads(file.read_text(encoding="utf8")) if file.is_file() else {}


def _read_tables(path: str | Path | None) -> Tables:
    if path is None:
        return {}
    tables = read_toml(Path(path), DataError)
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise DataError(
                f"{name} = {table!r} in {path} is not in a router's table; put it below a line such as [svd]"
            )
    return tables
