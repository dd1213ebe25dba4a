"""What each table of a data set has to be: declared once, checked once, whatever file or frame it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from recroute.errors import DataError

LARGEST = 1e15  # of costs, prices, sizes and vectors: sums and squares of such numbers stay within 32 bits
ID_COLUMNS = ("instance_id", "llm_id")
NAMES = {"instance_id": "instance", "llm_id": "llm"}  # of ids, for messages


@dataclass(frozen=True, kw_only=True)
class Column:
    """What one column holds.

    Parameters
    ----------
    number : bool
        Numbers; text otherwise.
    needed : bool
        Whether the table has to have it.
    may_be_null : bool
        Whether a value may be unknown.
    low, high : float
        Closed range of its numbers.
    parsed : bool
        Whether numbers written as text, and true and false, count as numbers.
    dtype : type of polars, optional
        What numbers become.
    outside, missing : str
        What is wrong with a number out of range, or with none, and how it is mended.
    """

    number: bool = False
    needed: bool = False
    may_be_null: bool = False
    low: float = 0
    high: float = LARGEST
    parsed: bool = False
    dtype: type[pl.DataType] = pl.Float64
    outside: str = f"is not between 0 and {LARGEST:g}; fix it, or leave it out (null) if it is unknown"
    missing: str = "fill it in"


Schema = Mapping[str, Column]
ID = Column(needed=True)
TEXT = Column()
AMOUNT = Column(number=True, may_be_null=True)
RECORDS: Schema = {
    "instance_id": ID,
    "llm_id": ID,
    "score": Column(
        number=True,
        needed=True,
        high=1,
        parsed=True,
        dtype=pl.Float32,
        outside="is outside [0, 1]; scale the scores or fix that row",
        missing="leave the row out if it was not evaluated",
    ),
    "cost": Column(
        number=True,
        may_be_null=True,
        parsed=True,
        dtype=pl.Float32,
        outside=f"is not a finite USD amount from 0 to {LARGEST:g}; fix it",
    ),
}
INSTANCES: Schema = {"instance_id": ID, "prompt": TEXT, "task": TEXT, "benchmark": TEXT, "split": TEXT}
LLMS: Schema = {
    "llm_id": ID,
    "family": Column(may_be_null=True),
    "n_params_b": AMOUNT,
    "price_in": AMOUNT,
    "price_out": AMOUNT,
}
PREFERENCES: Schema = {"instance_id": ID, "llm_a": ID, "llm_b": ID}  # and `outcome`, see `pair_table`
POOLS: Schema = {
    "group": Column(needed=True),
    "pool_size": Column(
        number=True, needed=True, low=1, high=2**31, dtype=pl.Int64, outside="is not a number of LLMs; fix it"
    ),
    "llm_id": ID,
    "benchmark": TEXT,
}


def check_columns(frame: Any, schema: Schema, source: str) -> pl.DataFrame:
    """The table with its columns as the schema declares them; columns that it does not declare stay as they are.

    Parameters
    ----------
    frame : polars, pandas, pyarrow or dict of columns
    schema : mapping of str to Column
    source : str
        What messages call the table.

    Raises
    ------
    DataError
        For what is no table, a column that is missing or of another kind, a value that is missing, and a number out of
        range: the first of these, with its row and ids.
    """
    table = as_table(frame, source)
    require_columns(table, tuple(name for name, column in schema.items() if column.needed), source)
    for name, column in schema.items():
        if name in table.columns:
            table = _checked(table, name, column, source)
    return table


def _checked(table: pl.DataFrame, name: str, column: Column, source: str) -> pl.DataFrame:
    if not column.number:
        return text_column(table, name, source, may_be_null=column.may_be_null)
    kind = table.schema[name]
    if not (column.parsed or kind.is_numeric() or kind == pl.Null):
        raise DataError(f"{name} is {_kind(kind)} in {source}, not a number; fix that column")
    table = number_column(table, name, source)
    value = table[name]
    if not column.may_be_null and value.null_count():
        where = _where(table, value.is_null(), source)
        raise DataError(f"{name} is missing for {where}; {column.missing}")
    bad = value.is_not_null() & ~value.is_between(column.low, column.high)  # NaN is not
    if column.dtype == pl.Int64:
        bad |= value != value.round()
    if bad.any():
        raise DataError(f"{name} {value.filter(bad)[0]:g} for {_where(table, bad, source)} {column.outside}")
    return table.with_columns(value.cast(column.dtype))


def as_table(frame: Any, source: str) -> pl.DataFrame:
    """A table from polars, pandas, pyarrow or a dict of columns; DataError for anything else."""
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, str | bytes) or not hasattr(frame, "__len__"):
        raise DataError(f"{source} is {type(frame).__name__}, not a table; give a frame or a dict of columns")
    try:
        return pl.DataFrame(frame)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"{source} cannot be read as a table: {reason[0]}; give a frame or a dict of columns") from None


def require_columns(table: pl.DataFrame, columns: tuple[str, ...], source: str) -> None:
    """Raise DataError if one of `columns` is missing."""
    for column in columns:
        if column not in table.columns:
            raise DataError(f"column {column!r} is missing in {source} ({listed(table.columns)}); rename or add it")


def listed(columns: Sequence[str], most: int = 12) -> str:
    """The columns that a table has, for a message in which one is missing.

    >>> listed(["a", "b"])
    'there: a, b'
    >>> listed([])
    'the table has no columns'
    """
    more = f", ... ({len(columns)} in all)" if len(columns) > most else ""
    return f"there: {', '.join(columns[:most])}{more}" if columns else "the table has no columns"


def text_column(table: pl.DataFrame, column: str, source: str, *, may_be_null: bool = False) -> pl.DataFrame:
    """The table with `column` as text; DataError for anything else, a missing value, and an id that is empty."""
    values, kind = table[column], table.schema[column]
    if not is_text(kind) and values.null_count() < len(values):
        raise DataError(f"{column} is {_kind(kind)} in {source}, not text; write it as text")
    values = values.cast(pl.String) if kind != pl.String else values
    if not may_be_null and values.null_count():
        refuse_first(values.is_null(), lambda row: f"{column} is missing in {source}, row {row}; fill it in")
    if column in ID_COLUMNS:
        refuse_first(values == "", lambda row: f"{column} is empty in {source}, row {row}; fill it in")
    return table if kind == pl.String else table.with_columns(values)


def number_column(table: pl.DataFrame, column: str, source: str, kind: type[pl.DataType] = pl.Float64) -> pl.DataFrame:
    """The table with `column` as numbers of that kind; text that is none raises DataError."""
    values, given = table[column], table.schema[column]
    if given == pl.String:
        number = values.str.strip_chars().cast(pl.Float64, strict=False)
        refuse_first(
            values.is_not_null() & number.is_null(),
            lambda row: f"{column} {values[row]!r} in {source}, row {row} is not a number; fix that row",
        )
    elif given.is_numeric() or given in (pl.Boolean, pl.Null):
        number = values.cast(pl.Float64)
    else:
        raise DataError(f"{column} is {_kind(given)} in {source}, not a number; give it as a float")
    return table.with_columns(number.cast(kind))


def is_text(dtype: pl.DataType) -> bool:
    """Whether a column of this type holds text."""
    return dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)


def refuse_first(bad: pl.Series, message: Callable[[int], str]) -> None:
    """Raise DataError with `message(row)` for the first row that is marked."""
    if bad.any():
        raise DataError(message(int(bad.arg_max() or 0)))


def _kind(dtype: pl.DataType) -> str:
    """A type for messages, without the fields of a nested one."""
    return str(dtype.base_type()) if dtype.is_nested() else str(dtype)


def _where(table: pl.DataFrame, bad: pl.Series, source: str) -> str:
    """The first row that is marked: its ids, the table and its position."""
    row = int(bad.arg_max() or 0)
    ids = [f"{kind} {table[name][row]!r}" for name, kind in NAMES.items() if name in table.columns]
    return f"{', '.join(ids)} ({source}, row {row})" if ids else f"row {row} of {source}"
