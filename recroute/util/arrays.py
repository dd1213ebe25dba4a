"""Rules for the arrays of saved files: declared with the field that holds an array, checked when it is read.

A shape is a tuple of dimensions. A name such as `"n_llms"` stands for the same size everywhere in a file, at least 1;
`"n_dims?"` may also be 0, `"n_dims+1"` is one more than `"n_dims"`, and `"4"` is 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
Shape = tuple[str, ...]
LARGEST = 1e30  # of fitted numbers; their squares stay within the range of double precision
KINDS = {  # dtypes of each kind, by their name in messages
    "float": ("float32", "float64"),
    "int": ("int32", "int64"),
    "code": ("uint8",),
    "number": ("uint64",),
    "text": ("text",),
    "any": ("bool", "uint8", "uint64", "int32", "int64", "float32", "float64", "text"),
}


class ArrayError(ValueError):
    """An array breaks its rule. The message is only a clause: callers add the file and how to fix it."""


@dataclass(frozen=True, kw_only=True)
class ArrayRule:
    """Rule for one array.

    Parameters
    ----------
    shape : tuple of str, optional
        Dimensions; None accepts any.
    kind : str
        One of `KINDS`.
    low, high : float, optional
        Closed range of its numbers. Default: -LARGEST to LARGEST for floats, no limit for whole numbers.
    allow : tuple of str
        Of "nan" and "inf", those that are valid values.
    below : str
        Dimension that its numbers are positions in, from 0 to the size minus 1.
    distinct : bool
        Whether values must be distinct.
    needed : bool
        False if folders of older versions may lack the array.
    per_llm : bool, optional
        For an array without a shape: whether its first dimension has an entry for each LLM.
    """

    shape: Shape | None = None
    kind: str = "float"
    low: float | None = None
    high: float | None = None
    allow: tuple[str, ...] = ()
    below: str = ""
    distinct: bool = False
    needed: bool = True
    per_llm: bool | None = None

    @property
    def llm_axes(self) -> tuple[int, ...]:
        """The axes that have an entry for each LLM."""
        if self.shape is None:
            return (0,) if self.per_llm else ()
        return self.axes("n_llms")

    def axes(self, dimension: str) -> tuple[int, ...]:
        """The axes of this dimension."""
        return tuple(axis for axis, each in enumerate(self.shape or ()) if each == dimension)


def check_arrays(arrays: Arrays, rules: Mapping[str, ArrayRule], sizes: dict[str, int], place: str = "") -> None:
    """Raise ArrayError unless every array follows its rule, none is missing and none has no rule.

    Parameters
    ----------
    arrays : mapping of str to array
    rules : mapping of str to ArrayRule
    sizes : dict of str to int
        Known sizes of dimensions; those that are found are added.
    place : str
        Prefix of the names in messages.
    """
    check_types(arrays, rules, sizes, place)
    for name, values in arrays.items():
        _check_values(place + name, values, rules[name], sizes)


def check_types(arrays: Arrays, rules: Mapping[str, ArrayRule], sizes: dict[str, int], place: str = "") -> None:
    """As `check_arrays`, but only dtypes and shapes; the values are not read."""
    for name, rule in rules.items():
        if name not in arrays and rule.needed:
            raise ArrayError(f"array {place}{name} is missing")
    for name, values in arrays.items():
        if name not in rules:
            raise ArrayError(f"array {place}{name} does not belong there")
        _check_type(place + name, values, rules[name], sizes)


def _parsed(dimension: str) -> tuple[str, bool, int]:
    """Name of a dimension, whether its size may be 0, and the number that is added to it."""
    name, _, more = dimension.partition("+")
    return name.rstrip("?"), name.endswith("?"), int(more or 0)


def _check_type(name: str, values: NDArray[Any], rule: ArrayRule, sizes: dict[str, int]) -> None:
    kind = "text" if values.dtype.kind == "U" else values.dtype.name
    fits = kind in KINDS[rule.kind] and values.dtype.isnative
    if fits and (rule.shape is None or _fits(values.shape, rule.shape, sizes)):
        return
    expected = " or ".join(KINDS[rule.kind])
    if rule.shape is not None:
        expected += f" ({', '.join(_described(dimension, sizes) for dimension in rule.shape)})"
    raise ArrayError(f"array {name} is {str(values.dtype)[:40]} {values.shape}, not {expected}")


def _fits(found: tuple[int, ...], shape: Shape, sizes: dict[str, int]) -> bool:
    if len(found) != len(shape):
        return False
    for size, dimension in zip(found, shape, strict=True):
        name, may_be_none, more = _parsed(dimension)
        known = int(name) if name.isdigit() else sizes.get(name)
        if known is None:
            known = sizes[name] = size - more
        if size != known + more or (known < 1 and not may_be_none) or known < 0:
            return False
    return True


def _described(dimension: str, sizes: Mapping[str, int]) -> str:
    """A dimension for a message, with its size if that is known."""
    name, _, more = _parsed(dimension)
    size = sizes.get(name, -1)
    if name.isdigit() or size < 0:
        return dimension.replace("?", "")
    return f"{dimension.replace('?', '')} = {size + more}"


def _check_values(name: str, values: NDArray[Any], rule: ArrayRule, sizes: Mapping[str, int]) -> None:
    if values.size == 0:
        return
    if values.dtype.kind == "U":
        if not is_text(values):
            raise ArrayError(f"array {name} holds invalid characters")
    elif rule.kind != "any":
        low, high = _range(rule, sizes)
        if not (values.min() >= low and values.max() <= high):  # also true for NaN
            _refuse_outside(name, values, rule, low, high)
    if rule.distinct and len(np.unique(values)) < values.size:
        raise ArrayError(f"array {name} holds a value twice")


def _range(rule: ArrayRule, sizes: Mapping[str, int]) -> tuple[float, float]:
    if rule.below:
        return 0, sizes[_parsed(rule.below)[0]] - 1
    limit = LARGEST if rule.kind == "float" else np.inf
    return -limit if rule.low is None else rule.low, limit if rule.high is None else rule.high


def _refuse_outside(name: str, values: NDArray[Any], rule: ArrayRule, low: float, high: float) -> None:
    bad = ~((values >= low) & (values <= high))
    if "nan" in rule.allow:
        bad &= ~np.isnan(values)
    if "inf" in rule.allow:
        bad &= values != np.inf
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f"[{', '.join(map(str, at))}]" if at else ""
        raise ArrayError(f"array {name}{where} is {values[at]:g}, not between {low:g} and {high:g}")


def inside(arrays: Arrays, prefix: str) -> dict[str, NDArray[Any]]:
    """The arrays whose names start with a prefix, by name without the prefix."""
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}


def is_text(values: NDArray[Any]) -> bool:
    """Whether an array of dtype "U" holds valid Unicode only; NumPy accepts any 32-bit number as a character."""
    if values.size == 0 or values.dtype.itemsize == 0:
        return True
    kind = np.dtype(np.uint32)
    codes = np.ravel(values).view(kind if values.dtype.isnative else kind.newbyteorder())
    return bool(((codes <= 0x10FFFF) & ((codes < 0xD800) | (codes > 0xDFFF))).all())
