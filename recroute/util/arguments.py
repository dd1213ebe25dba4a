"""Checks of arguments: lists, numbers and classes, with a message of one line for a wrong value.

If a list is expected, a single text counts as a list of one text, never as its letters. A single number is refused,
because `seeds=3` may mean the seed 3 or three seeds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache, wraps
from inspect import Parameter, signature, unwrap
from math import inf
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from recroute.errors import DataError

LARGEST_SEED = 2**31 - 1
F = TypeVar("F", bound=Callable[..., Any])
# Classes that are accepted for an annotation, besides the class itself. A bool is not accepted as a number.
ABSTRACT: dict[type, tuple[type, ...]] = {
    int: (Integral,),
    float: (Real,),
    bool: (bool, np.bool_),
    Path: (Path, os.PathLike),
}


def checked(function: F) -> F:
    """Decorator: raises DataError for an argument of another class than its annotation names, and for a seed below 0.

    Only annotations that are plain classes are checked. Lists are checked by other functions of this module, and
    generic types such as arrays are left to the decorated function.
    """
    parameters = signature(function).parameters
    names = unwrap(function).__globals__

    @cache
    def kinds() -> dict[str, tuple[type, ...]]:
        return {name: found for name, one in parameters.items() if (found := classes_of(one.annotation, names))}

    @wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        for name, value in [*zip(parameters, args, strict=False), *named.items()]:
            kind = kinds().get(name)
            if kind is not None:
                check_kind(value, kind, name)
            if name == "seed" and name in parameters:
                as_whole_number(value, name, low=0, high=2**63 - 1)
        return function(*args, **named)

    return call  # type: ignore[return-value]


def check_kind(value: Any, kinds: tuple[type, ...], what: str) -> None:
    """Raise DataError unless the value is an instance of one of these classes; `what` is its name in the message."""
    allowed = tuple(one for kind in kinds for one in ABSTRACT.get(kind, (kind,)))
    if not isinstance(value, allowed) or (isinstance(value, bool) and not {bool, object} & set(kinds)):
        names = dict.fromkeys(_class_name(kind) for kind in kinds)
        raise DataError(f"{what} is {_described(value)}; give {' or '.join(names)}")


def classes_of(annotation: Any, names: dict[str, Any]) -> tuple[type, ...]:
    """The classes that an annotation names; empty if it is not a plain class or a union of such.

    An annotation that is text is evaluated with the globals `names`.
    """
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, names)
        except NameError:  # imported for type checkers only
            return ()
    classes = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    classes = tuple(NoneType if one is None else one for one in classes)
    plain = all(isinstance(one, type) and one not in (Any, Parameter.empty) and not get_args(one) for one in classes)
    return classes if plain else ()


def _class_name(kind: type) -> str:
    known = {NoneType: "None", str: "a text", int: "a whole number", float: "a number", bool: "True or False"}
    home = kind.__module__.split(".")[0]
    return known.get(kind, kind.__name__ if home == "recroute" else f"a {home} {kind.__name__}")


def as_texts(value: Any, what: str) -> list[str]:
    """A list of texts from a single text or any ordered collection: list, tuple, generator, array, column of a frame.

    Parameters
    ----------
    value : str or iterable of str
    what : str
        Name of the argument, for messages.

    Raises
    ------
    DataError
        If the value is neither, or if an entry is not a text.

    Examples
    --------
    >>> as_texts("What is?", "prompts")
    ['What is?']
    >>> as_texts(np.array(["a", "b"]), "llms")
    ['a', 'b']
    """
    return as_list(value, what, str, "texts")


def as_list(value: Any, what: str, kind: Any, called: str) -> list[Any]:
    """A list whose entries are instances of `kind`; a single entry that is not a number counts as a list of one.

    Parameters
    ----------
    value : instance of kind, or iterable of such
    what : str
        Name of the argument, for messages.
    kind : type or tuple of type
    called : str
        The entries' name in messages, in the plural.

    Raises
    ------
    DataError
        If the value is neither, or if an entry is of another kind.
    """
    if isinstance(value, np.ndarray):
        value = value.tolist()  # a number for an array without dimensions
    if isinstance(value, kind) and not isinstance(value, Real):
        return [value]
    unordered = isinstance(value, str | bytes | Mapping | set | frozenset) or hasattr(value, "columns")
    if unordered or not isinstance(value, Iterable):
        raise DataError(f"{what} is {_described(value)}; give a list of {called}")
    entries = list(value)
    for i, entry in enumerate(entries):
        if isinstance(entry, bool) or not isinstance(entry, kind):
            raise DataError(f"{what} has {_described(entry)} at position {i}; give a list of {called}")
    return entries


def as_whole_numbers(value: Any, what: str, low: float = -inf, high: float = inf) -> list[int]:
    """A list of whole numbers, each from `low` to `high`; DataError for anything else."""
    return [_whole(number, what, low, high) for number in as_list(value, what, Integral, "whole numbers")]


def as_numbers(value: Any, what: str) -> list[float]:
    """A list of numbers as floats; DataError for anything else.

    >>> as_numbers([1, 0.5], "shares")
    [1.0, 0.5]
    """
    return [float(number) for number in as_list(value, what, Real, "numbers")]


def as_seeds(value: Any, what: str = "seeds") -> list[int]:
    """A list of seeds, at least one and none twice; DataError for anything else.

    >>> as_seeds(range(3))
    [0, 1, 2]
    """
    seeds = as_whole_numbers(value, what, low=0, high=LARGEST_SEED)
    if not seeds or len(set(seeds)) < len(seeds):
        raise DataError(f"{what}={seeds}: give at least one, and none twice")
    return seeds


def as_whole_number(value: Any, what: str, low: float = -inf, high: float = inf) -> int:
    """A whole number from `low` to `high`; DataError for anything else."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise DataError(f"{what} is {_described(value)}, not a whole number")
    return _whole(value, what, low, high)


def as_index(value: Any, n: int, what: str) -> NDArray[np.int64]:
    """Positions int64 (k,) among n, from whole numbers or n truth values; negative numbers count from the end.

    DataError if it is neither, or if a position is out of range.
    """
    array = np.asarray(value if hasattr(value, "__len__") or not isinstance(value, Iterable) else list(value))
    if array.dtype == bool and array.shape == (n,):
        return np.flatnonzero(array)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise DataError(f"positions of {what} are {_described(value)}; give a list of whole numbers")
    if array.size and not -n <= array.min() <= array.max() < n:
        raise DataError(f"positions of {what} go from {array.min()} to {array.max()}, but there are only {n}")
    index = array.astype(np.int64)
    return index + n * (index < 0)


def _whole(value: Any, what: str, low: float, high: float) -> int:
    if not low <= value <= high:
        limits = f"at least {low}" if value < low else f"at most {high}"
        raise DataError(f"{what}={value} must be {limits}")
    return int(value)


def _described(value: Any) -> str:
    """A wrong value and its class for a message; a long value is cut."""
    kind = type(value).__name__
    if value is None or (isinstance(value, Iterable) and not isinstance(value, str | bytes)):
        return "None" if value is None else f"a {kind}"
    text = repr(value)
    return f"{text if len(text) <= 40 else text[:37] + '...'} ({kind})"
