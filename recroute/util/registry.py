"""Registries of classes by name, with those that other packages add by entry point; and settings given as text."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from importlib import import_module
from importlib.metadata import entry_points
from numbers import Real
from pathlib import Path
from typing import Any, get_args, get_type_hints

from recroute.errors import RecrouteError, UnknownNameError

SIMPLE = (str, Real, Path)  # types that a setting may be given as


@dataclass(frozen=True)
class Registry:
    """Classes by name, imported when they are first needed.

    Parameters
    ----------
    kind : str
        What the names stand for, in messages.
    group : str
        Entry point group in which other packages register their classes.
    built_in : mapping of str to str
        Recroute's own classes as "module:Class" by name, in the order of tables.
    added : dict of str to type
        Classes added by `add`.
    """

    kind: str
    group: str
    built_in: Mapping[str, str]
    added: dict[str, type] = field(default_factory=dict)

    @cached_property
    def places(self) -> dict[str, str]:
        """Built-in classes and those of entry points, as "module:Class" by name."""
        return dict(self.built_in) | {entry.name: entry.value for entry in entry_points(group=self.group)}

    def names(self) -> list[str]:
        """All registered names."""
        return list(dict.fromkeys([*self.places, *self.added]))

    def add(self, name: str, cls: type) -> None:
        """Register a class for this process; it replaces any other class of that name."""
        self.added[name] = cls

    def get(self, name: str) -> Any:
        """The class registered as `name`; UnknownNameError, which suggests the nearest name, if there is none."""
        if name in self.added:
            return self.added[name]
        if name not in self.places:
            raise UnknownNameError(self.kind, name, self.names())
        module, _, attribute = self.places[name].partition(":")
        return getattr(import_module(module), attribute)


def convert_settings(
    cls: type, label: str, kind: str, known: list[str], values: Mapping[str, Any], error: type[RecrouteError]
) -> dict[str, Any]:
    """Convert values to the annotated types of the fields of a dataclass; text is parsed.

    Parameters
    ----------
    cls : type
        The dataclass.
    label : str
        What the settings belong to, for messages.
    kind : str
        What messages call a setting.
    known : list of str
        Names of the fields that may be set.
    values : mapping of str to value
    error : type
        Class of the error for a value of the wrong type.

    Raises
    ------
    UnknownNameError
        If a name is not in `known`.
    RecrouteError
        Of class `error`, if a value is of the wrong type.
    """
    types = get_type_hints(cls)
    converted = {}
    for key, value in values.items():
        if key not in known:
            raise UnknownNameError(kind, key, known or ["none"], where=f" of {label}")
        converted[key] = _convert(label, key, value, types[key], error)
    return converted


def field_names(cls: Any) -> list[str]:
    """Names of a dataclass's fields."""
    return [field.name for field in fields(cls)]


def _convert(label: str, key: str, value: Any, annotation: Any, error: type[RecrouteError]) -> Any:
    """Convert a value to int, float, bool, str or Path, or to None if the annotation allows it."""
    kinds = get_args(annotation) or (annotation,)
    optional = type(None) in kinds
    if optional and (value is None or value == "none"):
        return None
    (kind,) = (k for k in kinds if k is not type(None))
    try:
        if kind is bool:
            return {"true": True, "false": False}[str(value).lower()]
        if (kind is float and isinstance(value, bool)) or not isinstance(value, SIMPLE):
            raise TypeError
        converted = int(str(value)) if kind is int else kind(value)
        if converted != converted:  # NaN
            raise ValueError
        return converted
    except (ValueError, KeyError, TypeError, OverflowError):
        raise error(f"{label}: {key}={value!r} is not {kind.__name__}{' or none' if optional else ''}") from None


def read_toml(path: Path, error: type[RecrouteError]) -> dict[str, Any]:
    """Read a TOML file; raises `error` if it cannot be read or is not valid TOML."""
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as problem:
        raise error(f"{path} cannot be read: {problem.strerror}; name a TOML file") from None
    except UnicodeDecodeError as problem:
        line = problem.object.count(b"\n", 0, problem.start) + 1
        raise error(f"{path} is not valid TOML: line {line} is not UTF-8; save it as UTF-8") from None
    except RecursionError:
        raise error(f"{path} is nested too deeply; settings are tables of values and lists") from None
    except ValueError as problem:
        raise error(f"{path} is not valid TOML: {problem}; correct it") from None


def split_outside(text: str, sign: str) -> list[str]:
    """Split `text` at each `sign`, a single character, that is not inside brackets.

    >>> split_outside("svd + knn(n_neighbors=9) + guarded(router=svd + als)", "+")
    ['svd', 'knn(n_neighbors=9)', 'guarded(router=svd + als)']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == sign and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]
