"""Columns of numbers as programs, spreadsheets and people write them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from recroute.errors import DataError

WORDS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
MISSING = ("", "na", "n/a", "#n/a", "<na>", "null", "none")  # and NaN, which is a number to polars
COMMA = r"^[+-]?\d*,\d+(?:[eE][+-]?\d+)?$"


def is_text(dtype: pl.DataType) -> bool:
    """Whether a column of this type holds text."""
    return dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)


def kind_name(dtype: pl.DataType) -> str:
    """A type for messages, without the fields of a nested one."""
    return str(dtype.base_type()) if dtype.is_nested() else str(dtype)


def plain_number(values: pl.Expr) -> pl.Expr:
    """Text that is a number to everybody, f64; null for any other."""
    return values.cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False)


def number(values: pl.Expr) -> pl.Expr:
    """Text as f64: also true, false, yes and no, and numbers with a decimal comma; null for any other."""
    text = values.cast(pl.String).str.strip_chars()
    words = text.str.to_lowercase().replace_strict(WORDS, default=None, return_dtype=pl.Float64)
    comma = pl.when(text.str.contains(COMMA)).then(text.str.replace(",", ".", literal=True))
    return pl.coalesce(plain_number(values), words, comma.cast(pl.Float64, strict=False))


def is_odd(values: pl.Expr) -> pl.Expr:
    """Whether text is there, and is no plain number."""
    return values.is_not_null() & (values.cast(pl.String).str.strip_chars() != "") & plain_number(values).is_null()


def as_numbers(values: pl.Series, source: str, first: int = 0, mend: str = "") -> pl.Series:
    """A column as f64, null where it is missing.

    Parameters
    ----------
    values : polars.Series
        Numbers, truth values, or text that stands for them.
    source : str
        What messages call the table.
    first : int
        Where the column's first value stands in the table.
    mend : str
        What else a person may do about a value that is no number.

    Raises
    ------
    DataError
        For a column of another kind, text that is no number, and decimal commas beside decimal points.

    Examples
    --------
    >>> as_numbers(pl.Series("score", ["0,5", "yes", "NA"]), "t").to_list()
    [0.5, 1.0, None]
    """
    kind, name = values.dtype, values.name
    if kind.is_numeric() or kind in (pl.Boolean, pl.Null):
        return values.cast(pl.Float64)
    if not is_text(kind):
        raise DataError(f"{name} is {kind_name(kind)} in {source}, not a number; give it as a float{mend}")
    table, text = values.to_frame(), pl.col(name)
    odd = table.select(is_odd(text)).to_series()
    if not odd.any():
        return table.select(plain_number(text)).to_series()
    found = table.select(number(text)).to_series()
    missing = values.cast(pl.String).str.strip_chars().str.to_lowercase().is_in(MISSING)
    wrong = odd & found.is_null() & ~missing
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise DataError(f"{name} {values[row]!r} in {source}, row {first + row} is not a number; fix that row{mend}")
    refuse_mixed(table.lazy(), [name], source)
    return found


def has_comma(values: pl.Expr) -> pl.Expr:
    """Whether text is a number with a decimal comma."""
    return values.cast(pl.String).str.strip_chars().str.contains(COMMA)


def refuse_mixed(frame: pl.LazyFrame, columns: Sequence[str], source: str) -> None:
    """Raise DataError for a column in which some numbers have a decimal comma, and others a decimal point."""
    points = [pl.col(name).cast(pl.String).str.contains(".", literal=True) for name in columns]
    commas = [has_comma(pl.col(name)) for name in columns]
    both = [a.any() & b.any() for a, b in zip(points, commas, strict=True)]
    found = frame.select(both[i].alias(name) for i, name in enumerate(columns)).collect(engine="streaming")
    for name, mixed in zip(columns, found.row(0), strict=True):
        if mixed:
            raise DataError(
                f"{name} has numbers with a decimal comma and numbers with a decimal point in {source}; write all alike"
            )
