"""What an array of a saved file has to be: declared beside the field that holds it, checked where it is read.

A shape is a tuple of dimensions. `"n_llms"` is a name, which has one size in a file; `"n_dims?"` may be 0, where others
are at least 1; `"n_dims+1"` is one more than that; `"4"` is 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
Shape = tuple[str, ...]
LARGEST = 1e30  # what a fit may give: its square does not leave the range of double precision
KINDS = {  # what messages call them
    "float": ("float32", "float64"),
    "int": ("int32", "int64"),
    "code": ("uint8",),
    "number": ("uint64",),
    "text": ("text",),
    "any": ("bool", "uint8", "uint64", "int32", "int64", "float32", "float64", "text"),
}


class ArrayError(ValueError):
    """An array is not what was declared: half a line, which lacks the file and the mend."""


@dataclass(frozen=True, kw_only=True)
class ArrayRule:
    """What one array has to be.

    Parameters
    ----------
    shape : tuple of str, optional
        Its dimensions; None lets any pass.
    kind : str
        One of `KINDS`.
    low, high : float, optional
        Closed range of its numbers; default what a fit may give.
    allow : tuple of str
        "nan", "inf" or both, where they mean something.
    below : str
        The dimension that its whole numbers are positions in.
    distinct : bool
        Whether no value may occur twice.
    needed : bool
        Folders of older versions may lack what is not.
    per_llm : bool, optional
        Where no shape says it: whether the first dimension has an entry for each LLM.
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
        return tuple(axis for axis, dimension in enumerate(self.shape) if dimension == "n_llms")


def check_arrays(arrays: Arrays, rules: Mapping[str, ArrayRule], sizes: dict[str, int], place: str = "") -> None:
    """Raise ArrayError unless the arrays are those that were declared.

    Parameters
    ----------
    arrays : mapping of str to array
    rules : mapping of str to ArrayRule
    sizes : dict of str to int
        Dimensions that are known; the others are added.
    place : str
        Before the names in messages.
    """
    check_types(arrays, rules, sizes, place)
    for name, values in arrays.items():
        _check_values(place + name, values, rules[name], sizes)


def check_types(arrays: Arrays, rules: Mapping[str, ArrayRule], sizes: dict[str, int], place: str = "") -> None:
    """As `check_arrays`, but for the numbers in them, which are not read."""
    for name, rule in rules.items():
        if name not in arrays and rule.needed:
            raise ArrayError(f"array {place}{name} is missing")
    for name, values in arrays.items():
        if name not in rules:
            raise ArrayError(f"array {place}{name} does not belong there")
        _check_type(place + name, values, rules[name], sizes)


def _parsed(dimension: str) -> tuple[str, bool, int]:
    """Its name, whether it may be 0, and how many more."""
    name, _, more = dimension.partition("+")
    return name.rstrip("?"), name.endswith("?"), int(more or 0)


def _check_type(name: str, values: NDArray[Any], rule: ArrayRule, sizes: dict[str, int]) -> None:
    kind = "text" if values.dtype.kind == "U" else values.dtype.name
    fits = kind in KINDS[rule.kind] and values.dtype.isnative
    if fits and (rule.shape is None or _fits(values.shape, rule.shape, sizes)):
        return
    expected = " or ".join(KINDS[rule.kind])
    if rule.shape is not None:
        expected += f" ({', '.join(_told(dimension, sizes) for dimension in rule.shape)})"
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


def _told(dimension: str, sizes: Mapping[str, int]) -> str:
    """A dimension for a message, with its size where that is known."""
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
        if not (values.min() >= low and values.max() <= high):  # NaN is neither
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
    """The arrays under a prefix, by what follows it."""
    return {name.removeprefix(prefix): values for name, values in arrays.items() if name.startswith(prefix)}


def is_text(values: NDArray[Any]) -> bool:
    """Whether an array of type "U" holds characters only: NumPy stores any number as one."""
    if values.size == 0 or values.dtype.itemsize == 0:
        return True
    kind = np.dtype(np.uint32)
    codes = np.ravel(values).view(kind if values.dtype.isnative else kind.newbyteorder())
    return bool(((codes <= 0x10FFFF) & ((codes < 0xD800) | (codes > 0xDFFF))).all())
