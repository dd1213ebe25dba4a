"""Look up, build and register routers by name."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeVar

from recroute.errors import RouterError
from recroute.routers.base import Router
from recroute.routers.names import ROUTERS
from recroute.util.arguments import as_list, checked
from recroute.util.registry import read_toml, split_outside

R = TypeVar("R", bound=Router)
MAX_DEPTH = 20  # of nested brackets in a router label


def router_names() -> list[str]:
    """Names of all registered routers, built-in ones first."""
    return ROUTERS.names()


def router_class(name: str) -> type[Router]:
    """Class registered as `name`.

    Raises UnknownNameError, which suggests the closest name, if there is none.
    """
    return ROUTERS.get(name)


def register_router(cls: type[R]) -> type[R]:
    """Register your own router under its `name` for the current process; usable as a class decorator.

    A package that ships routers should declare them under the entry point `recroute.routers` instead, which every
    process sees.

    Parameters
    ----------
    cls : subclass of Router
        Its `name` must be a Python identifier. Registering a second class with the same name replaces the first, so a
        notebook cell can be run again.

    Returns
    -------
    type
        `cls`, unchanged.

    Raises
    ------
    RouterError
        If `cls` is not a Router subclass, if its name is missing or not an identifier, or if recroute or an installed
        package already uses the name.
    """
    name = getattr(cls, "name", None)
    if not (isinstance(cls, type) and issubclass(cls, Router)):
        raise RouterError(f"{cls!r} is not a router class; derive it from recroute.Router")
    if not (isinstance(name, str) and name.isidentifier()):
        raise RouterError(f'{cls.__name__}.name is {name!r}; give it a name such as "my_router"')
    if name in ROUTERS.places:
        raise RouterError(f"{cls.__name__}.name is {name!r}, the name of another router; choose a different name")
    ROUTERS.add(name, cls)
    return cls


@checked
def make_router(name: str, **hyperparameters: Any) -> Router:
    """Build an unfitted router from its registry name or a saved configuration.

    Parameters
    ----------
    name : str
        A registered name; a label as tables print it, such as `knn(n_neighbors=100)`; or the path of a TOML file whose
        key `router` is one of these and whose other keys are hyperparameters.
    **hyperparameters
        Values for the router's fields; they override those of the label or file, and text is converted to the type of
        the field.

    Raises
    ------
    UnknownNameError
        If the router or a hyperparameter does not exist.
    RouterError
        If a value has the wrong type or is out of range, or the file cannot be read.

    Examples
    --------
    >>> make_router("knn", n_neighbors="100").n_neighbors
    100
    >>> make_router("knn(n_neighbors=100,views=all)").label
    'knn(views=all,n_neighbors=100)'
    """
    if not isinstance(name, str):
        raise RouterError(f"the router name is of type {type(name).__name__}; give a string such as 'svd'")
    if name.endswith(".toml"):
        name, hyperparameters = _read_configuration(Path(name), hyperparameters)
    if name.endswith(")"):
        name, hyperparameters = _read_label(name, hyperparameters)
    return router_class(name).from_settings(hyperparameters)


def load_router(path: str | Path) -> Router:
    """Load a fitted router from the folder that `Router.save` wrote.

    All content is checked before it is used, so a folder from an untrusted source is safe to load.

    Raises
    ------
    RouterError
        If the folder does not exist, if a file is missing, damaged or of a later format, or if the arrays do not match
        what the router and its encoder declare.
    """
    return Router.load(path)


def as_router(router: Router | str) -> Router:
    """Return a router unchanged, or build one from a name that `make_router` accepts; RouterError for anything else."""
    if isinstance(router, str):
        return make_router(router)
    if not isinstance(router, Router):
        raise RouterError(f"{router!r:.60} is a {type(router).__name__}; give a router or the name of one")
    return router


def as_routers(routers: Router | str | Iterable[Router | str]) -> list[Router]:
    """Apply `as_router` to each element; a single router or name counts as a list of one."""
    return [as_router(router) for router in as_list(routers, "routers", (str, Router), "routers and names of routers")]


def _read_label(label: str, overrides: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Split `name(key=value,...)` into name and hyperparameters; a value may itself be such a label."""
    if max(accumulate((c == "(") - (c == ")") for c in label)) > MAX_DEPTH:
        raise RouterError(f"router {label!r} nests routers more than {MAX_DEPTH} levels deep; remove some levels")
    name, _, inner = label[:-1].partition("(")
    values: dict[str, Any] = {}
    for item in split_outside(inner, ",") if inner else []:
        key, equals, value = item.partition("=")
        if not equals:
            raise RouterError(f"router {label!r}: {item!r} is not of the form name=value")
        values[key.strip()] = value.strip()
    return name.strip(), values | overrides


def _read_configuration(path: Path, overrides: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    configuration = read_toml(path, RouterError)
    if not isinstance(name := configuration.pop("router", None), str):
        raise RouterError(f'{path} does not name a router; add a line such as router = "svd"')
    if str(path) in name:
        raise RouterError(f"{path} names itself as the router; name a registered router such as svd")
    return name, configuration | overrides
