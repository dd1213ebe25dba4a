"""The tables of instances and of LLMs: what each column has to be."""

from __future__ import annotations

import polars as pl

from recroute.data.records import require_columns, text_column
from recroute.errors import DataError

INSTANCE_TEXTS = ("prompt", "task", "benchmark", "split")
LLM_NUMBERS = ("n_params_b", "price_in", "price_out")


def check_instances(table: pl.DataFrame, source: str) -> pl.DataFrame:
    """The table with its ids and texts as text; DataError where one is missing or something else."""
    require_columns(table, ("instance_id",), source)
    for column in ("instance_id", *INSTANCE_TEXTS):
        if column in table.columns:
            table = _text(table, column, source)
    return table


def check_llms(table: pl.DataFrame, source: str) -> pl.DataFrame:
    """The table with its ids and families as text and its numbers checked; null where a family or number is unknown.

    Raises DataError for an id that is missing, a number that is negative or not finite, and anything else than text or
    numbers.
    """
    require_columns(table, ("llm_id",), source)
    table = _text(table, "llm_id", source)
    if "family" in table.columns and table.schema["family"] != pl.String:
        if table.schema["family"] != pl.Null:
            text_column(table.drop_nulls("family"), "family", source)
        table = table.with_columns(pl.col("family").cast(pl.String))
    for column in LLM_NUMBERS:
        if column in table.columns:
            _check_number(table, column, source)
    return table


def _text(table: pl.DataFrame, column: str, source: str) -> pl.DataFrame:
    if table.schema[column] == pl.String and table[column].null_count() == 0:
        return table
    if table.is_empty():
        return table.with_columns(pl.col(column).cast(pl.String))
    return text_column(table, column, source)


def _check_number(table: pl.DataFrame, column: str, source: str) -> None:
    values = table[column]
    if values.dtype == pl.Null:
        return
    if not values.dtype.is_numeric():
        raise DataError(f"{column} is {values.dtype} in {source}, not a number; mend that column")
    number = values.cast(pl.Float64)
    bad = number.is_not_null() & ~(number.is_finite() & (number >= 0))
    if bad.any():
        row = int(bad.arg_max() or 0)
        llm = table["llm_id"][row]
        raise DataError(
            f"{column} {number[row]:g} of llm {llm!r} in {source} is not a finite number of at least 0; mend it, or "
            "leave it out (null) if it is unknown"
        )
