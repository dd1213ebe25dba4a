"""Reading pickles without running them.

A pickle is a program: it may call whatever it can import. Here it can import nothing. The few names that NumPy
arrays and pandas frames are made of become inert records of what the pickle wanted to call, and those are read
afterwards; any other name is refused at the point where the pickle asks for it.
"""

from __future__ import annotations

import math
import pickle
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.reading import regular_file
from recroute.errors import DataError
from recroute.util.arrays import is_text as is_text_array

NUMPY_CORE = ("numpy.core", "numpy._core")
ALLOWED = {
    *((f"{core}.multiarray", name) for core in NUMPY_CORE for name in ("_reconstruct", "scalar")),
    *((f"{core}.numeric", "_frombuffer") for core in NUMPY_CORE),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),  # how older protocols write bytes
    *((builtins, name) for builtins in ("builtins", "__builtin__") for name in ("slice", "bytes")),
    ("pandas", "DataFrame"),
    ("pandas", "Index"),
    ("pandas", "RangeIndex"),
    ("pandas.core.frame", "DataFrame"),
    ("pandas.core.internals.managers", "BlockManager"),
    ("pandas._libs.internals", "_unpickle_block"),
    ("pandas.core.indexes.base", "_new_Index"),
    ("pandas.core.indexes.base", "Index"),
    ("pandas.core.indexes.range", "RangeIndex"),
}
LARGEST = 2**64
DTYPE = re.compile(r"[biufSUO]\d{0,9}")
# What a damaged pickle can make the unpickler raise.
DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    ImportError,
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    AssertionError,
    struct.error,
)


class Inert:
    """What a pickle wanted to make: the name, the arguments, and the state it would have set."""

    __slots__ = ("args", "state")
    name: ClassVar[str] = ""
    args: tuple[Any, ...]
    state: Any

    def __new__(cls, *args: Any) -> Inert:
        self = object.__new__(cls)
        self.args, self.state = args, None
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state


KEYS = (str, bytes, int, float, type(None), Inert)  # Inert ones by identity


class _Refused(Exception):  # noqa: N818  never seen outside: load_pickle turns it into a DataError
    pass


class _Bounded:
    """A file that refuses to read past its end: a damaged length would otherwise claim that much memory first."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.size, self.readline = file, size, file.readline

    def read(self, n: int) -> bytes:
        if n > self.size:
            raise EOFError(f"{n} bytes are announced, the file has {self.size}")
        return self.file.read(n)


class _Reader(pickle._Unpickler):  # the Python one: the C one allocates whatever a damaged memo index asks for
    stack: list[Any]
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)

    def load_bytearray8(self) -> None:
        (n,) = struct.unpack("<Q", self.read(8))  # type: ignore[attr-defined]
        self.append(bytearray(self.read(n)))  # type: ignore[attr-defined]

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    def load_setitem(self) -> None:
        self._check_keys(self.stack[-2:-1])
        super().load_setitem()  # type: ignore[misc]

    def load_setitems(self) -> None:
        self._check_keys(self.stack[::2])
        super().load_setitems()  # type: ignore[misc]

    def load_dict(self) -> None:
        self._check_keys(self.stack[::2])
        super().load_dict()  # type: ignore[misc]

    def load_additems(self) -> None:
        self._check_keys(self.stack)
        super().load_additems()  # type: ignore[misc]

    def load_frozenset(self) -> None:
        self._check_keys(self.stack)
        super().load_frozenset()  # type: ignore[misc]

    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.DICT[0]] = load_dict
    dispatch[pickle.ADDITEMS[0]] = load_additems
    dispatch[pickle.FROZENSET[0]] = load_frozenset

    def _check_keys(self, keys: Sequence[Any]) -> None:
        """Refuse what takes longer to hash than to read: tuples of tuples, of which 60 may stand for 2^60."""
        for key in keys:
            if not isinstance(key, KEYS):
                raise pickle.UnpicklingError(f"{_kind(key)} as a key")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise _Refused(f"{module}.{name}")
        return type("Inert", (Inert,), {"__slots__": (), "name": name})  # a fresh one: nothing to tamper with


def load_pickle(path: Path) -> Any:
    """The object in a pickle: plain containers, strings and numbers, and `Inert` records for everything else.

    Raises DataError if the pickle asks for anything but NumPy and plain containers (before it runs any of it),
    or is damaged.
    """
    regular_file(path)
    try:
        with path.open("rb") as file:
            return _Reader(_Bounded(file, path.stat().st_size)).load()
    except _Refused as refused:
        mend = "write the frame as CSV with to_csv" if str(refused).startswith("pandas") else "nothing of it was run"
        raise DataError(
            f"{path} is refused: it asks to import {refused}, and a data file needs NumPy and plain containers only; "
            f"{mend}"
        ) from None
    except DAMAGE as error:
        raise DataError(f"{path} cannot be read as a pickle: {_line(error)}; get the file again") from None


def as_dict(value: Any, where: str) -> dict[Any, Any]:
    """`value` if it is a dict; DataError naming `where` if not."""
    if not isinstance(value, dict):
        raise DataError(f"{where} is {_kind(value)}, not a dict; is this file of that layout?")
    return value


def as_array(value: Any, where: str) -> NDArray[Any]:
    """The array behind a record, or a list of numbers or texts as an array; DataError naming `where` if neither."""
    try:
        return _array_of(value) if isinstance(value, list | tuple) else _array(value)
    except DAMAGE as error:
        raise DataError(f"{where} is {_kind(value)}, not an array ({_line(error)}); get the file again") from None


def as_frame(value: Any, where: str) -> pl.DataFrame:
    """A pandas frame as a polars one; text and number columns only."""
    try:
        return _frame(value)
    except (*DAMAGE, DataError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{where} is no pandas frame of plain text and numbers ({_line(error)}); write it as CSV with to_csv"
        ) from None


def _array_of(values: Sequence[Any]) -> NDArray[Any]:
    items = [_scalar(item) for item in values]
    texts = any(isinstance(item, str) for item in items)
    return np.array(items, dtype=object if texts else None)  # else each text takes as much as the longest


def _array(value: Any) -> NDArray[Any]:
    if value.name == "_frombuffer":
        raw, dtype, shape, order = value.args
        fortran = order == "F"
    else:
        _, shape, dtype, fortran, raw = value.state
    kind = _dtype(dtype)
    shape = tuple(int(length) for length in shape)
    if kind.hasobject:
        flat = np.empty(len(raw), dtype=object)
        flat[:] = [_scalar(item) for item in raw]
    else:
        flat = np.frombuffer(_bytes(raw), dtype=kind)
        if kind.kind == "U" and not is_text_array(flat):
            raise ValueError("it holds invalid characters")
    if math.prod(shape) != len(flat) or min(shape, default=0) < 0:
        raise ValueError(f"{len(flat)} values for shape {shape}")
    return flat.reshape(shape, order="F" if fortran else "C")


def _dtype(record: Inert) -> np.dtype[Any]:
    code = record.args[0]
    if not isinstance(code, str):
        raise ValueError(f"dtype {_kind(code)}")
    if record.name != "dtype" or not DTYPE.fullmatch(code):
        raise ValueError(f"dtype {code[:20]}")
    order = record.state[1] if record.state and record.state[1] in ("<", ">") else ""
    return np.dtype(order + code)


def _bytes(raw: Any) -> Any:
    if isinstance(raw, Inert) and raw.name == "encode" and isinstance(raw.args[0], str):
        return str(raw.args[0]).encode("latin1")
    if isinstance(raw, Inert) and raw.name == "bytes":  # how older protocols write no bytes at all
        return bytes(*(bytes(argument) for argument in raw.args[:1] if isinstance(argument, list)))
    return raw


def _scalar(item: Any) -> Any:
    if isinstance(item, Inert):
        if item.name != "scalar":
            raise ValueError(f"{item.name} inside an array")
        return np.frombuffer(_bytes(item.args[1]), dtype=_dtype(item.args[0]))[0].item()
    if not isinstance(item, str | int | float | bool | None):
        raise TypeError(f"{_kind(item)} inside an array")
    if isinstance(item, int) and not -LARGEST <= item < LARGEST:
        raise ValueError("a whole number beyond 64 bits")
    return item


def _frame(value: Any) -> pl.DataFrame:
    if value.name != "DataFrame":
        raise ValueError(value.name)
    state = value.state
    manager = state["_mgr"] if "_mgr" in state else state["_data"]
    if manager.args:  # pandas 1.3 and later
        blocks, axes = manager.args[:2]
        parts = [(block.args[0], block.args[1]) for block in blocks]
    else:
        layout = manager.state[3]["0.14.1"]
        axes = layout["axes"]
        parts = [(block["values"], block["mgr_locs"]) for block in layout["blocks"]]
    names = [str(name) for name in as_array(axes[0].args[1]["data"], "columns")]
    columns: dict[int, list[Any]] = {}
    for values, places in parts:
        rows = _array(values)
        for row, place in zip(rows, _places(places, len(names)), strict=True):
            columns[place] = row.tolist()
    if len(set(names)) != len(names):
        raise ValueError("two columns of one name")
    return pl.DataFrame({name: _column(columns[place]) for place, name in enumerate(names)}, strict=True)


def _column(values: list[Any]) -> pl.Series:
    """Numbers if all are (None and NaN are missing), else text."""
    missing = [value is None or value != value for value in values]
    if all(gap or isinstance(value, int | float) for value, gap in zip(values, missing, strict=True)):
        return pl.Series(
            [None if gap else float(value) for value, gap in zip(values, missing, strict=True)], dtype=pl.Float64
        )
    return pl.Series(
        [None if gap else clean_text(value) for value, gap in zip(values, missing, strict=True)], dtype=pl.String
    )


def _places(places: Any, n_columns: int) -> list[int]:
    if isinstance(places, Inert) and places.name == "slice":
        return list(range(n_columns))[slice(*places.args)]
    return [int(place) for place in as_array(places, "placement")]


def clean_text(value: Any) -> str:
    """`value` as text that can be written: half surrogate pairs, which UTF-8 cannot hold, become "?"."""
    return str(value).encode("utf8", "replace").decode("utf8")


def _kind(value: Any) -> str:
    return value.name if isinstance(value, Inert) else type(value).__name__


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
