"""Routers by name."""

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
DEEPEST = 20  # brackets within brackets of a label


def router_names() -> list[str]:
    """All registered names."""
    return ROUTERS.names()


def router_class(name: str) -> type[Router]:
    """The class registered as `name`; UnknownNameError with the nearest name if there is none."""
    return ROUTERS.get(name)


def register_router(cls: type[R]) -> type[R]:
    """Make a router of one's own known by its `name`, for as long as the process lives; use it as a decorator.

    A package names its routers under the entry point `recroute.routers` instead, which every process sees.

    Parameters
    ----------
    cls : subclass of Router
        With a `name` that is a word of letters, digits and underscores. A second class of the same name, such as the
        next version of it in a notebook, takes the place of the first.

    Raises
    ------
    RouterError
        If it is no router, or the name is missing, not of that form, or that of a router of recroute or of an installed
        package.
    """
    name = getattr(cls, "name", None)
    if not (isinstance(cls, type) and issubclass(cls, Router)):
        raise RouterError(f"{cls!r} is no router; derive it from recroute.Router")
    if not (isinstance(name, str) and name.isidentifier()):
        raise RouterError(f'{cls.__name__}.name is {name!r}; give it a name such as "my_router"')
    if name in ROUTERS.places:
        raise RouterError(f"{cls.__name__}.name is {name!r}, which another router is called; give it another name")
    ROUTERS.add(name, cls)
    return cls


@checked
def make_router(name: str, **hyperparameters: Any) -> Router:
    """A router by registry name or from a saved configuration.

    Parameters
    ----------
    name : str
        A registered name, perhaps with hyperparameters as tables write them, `knn(n_neighbors=100)`, or the path of
        a TOML file with the key `router`, which is such a name, and hyperparameters.
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
    >>> make_router("knn(n_neighbors=100,views=all)").label
    'knn(views=all,n_neighbors=100)'
    """
    if not isinstance(name, str):
        raise RouterError(f"the name of a router is {type(name).__name__}, not text; give a name such as 'svd'")
    if name.endswith(".toml"):
        name, hyperparameters = _read_configuration(Path(name), hyperparameters)
    if name.endswith(")"):
        name, hyperparameters = _read_label(name, hyperparameters)
    return router_class(name).from_settings(hyperparameters)


def load_router(path: str | Path) -> Router:
    """Read a router's folder.

    Raises
    ------
    RouterError
        If there is none, if a file of it is missing, damaged or of a later format, or if its content is not what
        the router, its encoder and what it remembers declare: nothing is used before it was checked.
    """
    return Router.load(path)


def as_router(router: Router | str) -> Router:
    """A router, given as one or by a name as `make_router` reads it; RouterError for anything else."""
    if isinstance(router, str):
        return make_router(router)
    if not isinstance(router, Router):
        raise RouterError(f"{router!r:.60} is {type(router).__name__}, not a router; give one, or a name of one")
    return router


def as_routers(routers: Router | str | Iterable[Router | str]) -> list[Router]:
    """Routers as `as_router` takes them; a lone one counts as a list of one."""
    return [as_router(router) for router in as_list(routers, "routers", (str, Router), "routers and names of routers")]


def _read_label(label: str, overrides: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and hyperparameters of `name(key=value,...)`; a value may itself be such a label."""
    if max(accumulate((c == "(") - (c == ")") for c in label)) > DEEPEST:
        raise RouterError(f"router {label!r} has routers within routers more than {DEEPEST} deep; take some out")
    name, _, inner = label[:-1].partition("(")
    found: dict[str, Any] = {}
    for item in split_outside(inner, ",") if inner else []:
        key, equals, value = item.partition("=")
        if not equals:
            raise RouterError(f"router {label!r}: {item!r} is not of the form name=value")
        found[key.strip()] = value.strip()
    return name.strip(), found | overrides


def _read_configuration(path: Path, overrides: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    configuration = read_toml(path, RouterError)
    if not isinstance(name := configuration.pop("router", None), str):
        raise RouterError(f'{path} names no router; add a line such as router = "svd"')
    if str(path) in name:
        raise RouterError(f"{path} names itself as the router; name another one, such as svd")
    return name, configuration | overrides
