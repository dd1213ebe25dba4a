"""What each table of a data set has to be: declared once, checked once, whatever file or frame it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from recroute.data.numbers import as_numbers, is_text, kind_name
from recroute.errors import DataError

LARGEST = 1e15  # of costs, prices, sizes and vectors: sums and squares of such numbers stay within 32 bits
ID_COLUMNS = ("instance_id", "llm_id")
LABELS = (*ID_COLUMNS, "llm_a", "llm_b", "task", "benchmark", "group")  # of which whole numbers are taken as text
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
VERDICTS: Schema = {  # a column of the records that is read where it is asked for
    "instance_id": ID,
    "llm_id": ID,
    "verdict": Column(
        number=True,
        needed=True,
        may_be_null=True,
        high=1,
        parsed=True,
        dtype=pl.Float32,
        outside="is neither 1 (the check passed) nor 0; fix that row",
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
        raise DataError(f"{name} is {kind_name(kind)} in {source}, not a number; fix that column")
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
    """A table from polars, pandas, pyarrow or a dict of columns; DataError for anything else.

    The index of a pandas frame comes along where it has a name, as after `set_index`, or holds text; one without a
    name is called as in the file that pandas would write, "Unnamed: 0".
    """
    if isinstance(frame, pl.DataFrame | pl.LazyFrame):
        return frame.lazy().collect()
    if isinstance(frame, str | bytes) or not hasattr(frame, "__len__"):
        raise DataError(f"{source} is {type(frame).__name__}, not a table; give a frame or a dict of columns")
    try:
        return _from_pandas(frame) if hasattr(frame, "set_index") else pl.DataFrame(frame)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise DataError(f"{source} cannot be read as a table: {reason[0]}; give a frame or a dict of columns") from None


def _from_pandas(frame: Any) -> pl.DataFrame:
    try:
        table = pl.DataFrame(frame)
    except ImportError:  # of pyarrow, by way of which polars takes text and what may be missing
        table = pl.DataFrame({str(name): _values(column) for name, column in frame.items()}, nan_to_null=True)
    return _with_index(table, frame.index)


def _values(column: Any) -> Any:
    """What a column of a pandas frame holds: numbers as an array, all else as a list with None for what is missing."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
        return column.to_numpy()
    return column.astype(object).where(column.notna(), None).tolist()


def _with_index(table: pl.DataFrame, index: Any) -> pl.DataFrame:
    """The table of a pandas frame, its index (perhaps of several levels) before the other columns."""
    levels = [(name, pl.Series(index.get_level_values(at).to_list())) for at, name in enumerate(index.names)]
    kept = {
        f"Unnamed: {at}" if name is None else str(name): values
        for at, (name, values) in enumerate(levels)
        if name is not None or values.dtype == pl.String
    }
    new = [values.alias(name) for name, values in kept.items() if name not in table.columns]
    return table.select(*new, pl.all()) if new else table


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
    """The table with `column` as text, ids that are whole numbers too.

    Raises DataError for anything else, a missing value, and an id that is empty.
    """
    values, kind = table[column], table.schema[column]
    if column in LABELS:
        values = table.select(label_text(table.lazy(), column, source)).to_series()
    elif not is_text(kind) and values.null_count() < len(values):
        raise DataError(f"{column} is {kind_name(kind)} in {source}, not text; write it as text")
    values = values.cast(pl.String) if kind != pl.String else values
    if not may_be_null and values.null_count():
        refuse_first(values.is_null(), lambda row: f"{column} is missing in {source}, row {row}; fill it in")
    if column in ID_COLUMNS:
        refuse_first(values == "", lambda row: f"{column} is empty in {source}, row {row}; fill it in")
    return table if kind == pl.String else table.with_columns(values)


def number_column(table: pl.DataFrame, column: str, source: str, kind: type[pl.DataType] = pl.Float64) -> pl.DataFrame:
    """The table with `column` as numbers of that kind, see `as_numbers`."""
    return table.with_columns(as_numbers(table[column], source).cast(kind))


def label_text(frame: pl.LazyFrame, column: str, source: str) -> pl.Expr:
    """A column of ids or names as text; whole numbers are written without a point, as pandas keeps them in floats.

    Raises DataError for numbers that are not whole, and for what is neither text nor a number.
    """
    kind, values = frame.collect_schema()[column], pl.col(column)
    if is_text(kind) or kind.is_integer() or kind == pl.Null:
        return values.cast(pl.String)
    if not kind.is_numeric():
        raise DataError(f"{column} is {kind_name(kind)} in {source}, not text; write it as text")
    numbers = values.cast(pl.Float64).fill_nan(None)
    whole = numbers.cast(pl.Int64, strict=False)
    odd = numbers.is_not_null() & (whole.cast(pl.Float64) != numbers).fill_null(True)
    bad = frame.select(values.filter(odd).first()).collect(engine="streaming").item()
    if bad is not None:
        raise DataError(f"{column} {bad} in {source} is neither text nor a whole number; write {column} as text")
    return whole.cast(pl.String)


def refuse_first(bad: pl.Series, message: Callable[[int], str]) -> None:
    """Raise DataError with `message(row)` for the first row that is marked."""
    if bad.any():
        raise DataError(message(int(bad.arg_max() or 0)))


def _where(table: pl.DataFrame, bad: pl.Series, source: str) -> str:
    """The first row that is marked: its ids, the table and its position."""
    row = int(bad.arg_max() or 0)
    ids = [f"{kind} {table[name][row]!r}" for name, kind in NAMES.items() if name in table.columns]
    return f"{', '.join(ids)} ({source}, row {row})" if ids else f"row {row} of {source}"
