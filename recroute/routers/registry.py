"""Routers by name."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_args, get_type_hints

from recroute.errors import RouterError, UnknownNameError
from recroute.routers.base import Router

BUILT_IN = {  # in the order of tables: bounds and baselines first
    "oracle": "recroute.routers.oracle:Oracle",
    "oracle_mix": "recroute.routers.oracle_mix:OracleMix",
    "random": "recroute.routers.random:Random",
    "best_single": "recroute.routers.best_single:BestSingle",
    "task_best": "recroute.routers.task_best:TaskBest",
    "knn": "recroute.routers.knn:KNN",
    "svd": "recroute.routers.svd:SVD",
    "als": "recroute.routers.als:ALS",
}
ENTRY_POINTS = "recroute.routers"


@cache
def _places() -> dict[str, str]:
    """Where each router lives, "module:Class"; other packages add theirs as entry points."""
    return BUILT_IN | {entry.name: entry.value for entry in entry_points(group=ENTRY_POINTS)}


def router_names() -> list[str]:
    """All registered names."""
    return list(_places())


def router_class(name: str) -> type[Router]:
    """The class registered as `name`; UnknownNameError with the nearest name if there is none."""
    if name not in _places():
        raise UnknownNameError("router", name, router_names())
    module, _, attribute = _places()[name].partition(":")
    found: type[Router] = getattr(import_module(module), attribute)
    return found


def make_router(name: str, **hyperparameters: Any) -> Router:
    """A router by registry name or from a saved configuration.

    Parameters
    ----------
    name : str
        A registered name, or the path of a TOML file with the key `router` and hyperparameters.
    **hyperparameters
        Values for the router's fields; text is converted to the field's type.

    Raises
    ------
    UnknownNameError
        For an unknown router or hyperparameter.
    RouterError
        For a value of the wrong type or out of range, or a file that cannot be read.

    Examples
    --------
    >>> make_router("knn", n_neighbors="100").n_neighbors
    100
    """
    if name.endswith(".toml"):
        name, hyperparameters = _read_configuration(Path(name), hyperparameters)
    cls = router_class(name)
    known = [f.name for f in cls.settings()]
    types = get_type_hints(cls)
    values = {}
    for key, value in hyperparameters.items():
        if key not in known:
            raise UnknownNameError("hyperparameter", key, known, where=f" of {name}")
        values[key] = _convert(name, key, value, types[key])
    return cls(**values)


def _convert(router: str, key: str, value: Any, annotation: Any) -> Any:
    """`value` as the type its field is annotated with: int, float, bool or str, perhaps `| None`."""
    kinds = get_args(annotation) or (annotation,)
    optional = type(None) in kinds
    if optional and (value is None or value == "none"):
        return None
    (kind,) = (k for k in kinds if k is not type(None))
    try:
        if kind is bool:
            return {"true": True, "false": False}[str(value).lower()]
        return int(str(value)) if kind is int else kind(value)
    except (ValueError, KeyError, TypeError):
        raise RouterError(f"{router}: {key}={value!r} is not {kind.__name__}{' or none' if optional else ''}") from None


def _read_configuration(path: Path, overrides: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    try:
        with path.open("rb") as file:
            configuration = tomllib.load(file)
    except OSError as error:
        raise RouterError(f"{path} cannot be read: {error.strerror}; name a router or an existing TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise RouterError(f"{path} is no TOML: {error}; mend it") from None
    if not isinstance(name := configuration.pop("router", None), str):
        raise RouterError(f'{path} names no router; add a line such as router = "svd"')
    return name, configuration | overrides
