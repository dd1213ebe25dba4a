"""Records: one row per evaluated answer, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from recroute.errors import DataError

ID_COLUMNS = ("instance_id", "llm_id")
LARGEST = float(np.finfo(np.float32).max)  # what a cost may be


@dataclass(frozen=True, eq=False)
class Records:
    """One row per evaluated answer.

    Parameters
    ----------
    table : polars.DataFrame
        `instance_id str, llm_id str, score f32 in [0, 1]` and, if known, `cost f32 USD`; nothing else.

    Raises
    ------
    DataError
        For a missing column, an empty table, an id that is no text or missing, a score that is missing, NaN,
        infinite or outside [0, 1], a cost that is negative or not finite, and for a pair (instance, LLM) that
        stands twice.
    """

    table: pl.DataFrame
    source: str = "records"

    def __post_init__(self) -> None:
        table = as_table(self.table, self.source)
        require_columns(table, (*ID_COLUMNS, "score"), self.source)
        if table.is_empty():
            raise DataError(f"{self.source} has no rows; one row per evaluated answer is needed")
        for column in ID_COLUMNS:
            table = text_column(table, column, self.source)
        table = number_column(table, "score", self.source)
        _check_scores(table, self.source)
        kept = [*ID_COLUMNS, "score"]
        if "cost" in table.columns:
            table = number_column(table, "cost", self.source, pl.Float64)
            _check_costs(table, self.source)
            table = table.with_columns(pl.col("cost").cast(pl.Float32))
            kept.append("cost")
        object.__setattr__(self, "table", table.select(kept))

    @classmethod
    def from_frame(cls, frame: Any, source: str = "records") -> Records:
        """From polars, pandas, pyarrow or a dict of columns."""
        return cls(as_table(frame, source), source)

    @staticmethod
    def empty() -> pl.DataFrame:
        """The table without rows, which stands beside preferences where there are no scores."""
        return pl.DataFrame(schema={"instance_id": pl.String, "llm_id": pl.String, "score": pl.Float32})

    def __len__(self) -> int:
        return self.table.height


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
            there = ", ".join(table.columns) or "none"
            raise DataError(f"column {column!r} is missing in {source} (there: {there}); rename or add it")


def text_column(table: pl.DataFrame, column: str, source: str) -> pl.DataFrame:
    """The table with `column` as text; anything but text, or a missing value, raises DataError."""
    dtype = table.schema[column]
    if not (dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)):
        raise DataError(f"{column} is {dtype} in {source}, not text; write ids as text")
    if (row := _first(table, pl.col(column).is_null())) is not None:
        raise DataError(f"{column} is missing in {source}, row {row}; fill it in")
    return table.with_columns(pl.col(column).cast(pl.String))


def number_column(table: pl.DataFrame, column: str, source: str, kind: type[pl.DataType] = pl.Float32) -> pl.DataFrame:
    """The table with `column` as numbers of that kind; text that is none raises DataError."""
    dtype = table.schema[column]
    if dtype == pl.String:
        number = pl.col(column).str.strip_chars().cast(pl.Float64, strict=False)
        if (row := _first(table, pl.col(column).is_not_null() & number.is_null())) is not None:
            value = table[column][row]
            raise DataError(f"{column} {value!r} in {source}, row {row} is not a number; mend that row")
        return table.with_columns(number.cast(kind))
    if not (dtype.is_numeric() or dtype == pl.Boolean):
        raise DataError(f"{column} is {dtype} in {source}, not a number; give it as a float")
    return table.with_columns(pl.col(column).cast(kind))


def _check_scores(table: pl.DataFrame, source: str) -> None:
    score = pl.col("score")
    bad = score.is_null() | score.is_nan() | ~score.is_between(0.0, 1.0)
    if (row := _first(table, bad)) is not None:
        value = table["score"][row]
        where = f"instance {table['instance_id'][row]!r}, llm {table['llm_id'][row]!r} ({source}, row {row})"
        if value is None:
            raise DataError(f"score is missing for {where}; leave the row out if it was not evaluated")
        raise DataError(f"score {value:g} for {where} is outside [0, 1]; scale the scores or mend that row")


def _check_costs(table: pl.DataFrame, source: str) -> None:
    cost = pl.col("cost")
    bad = cost.is_not_null() & ~cost.is_between(0, LARGEST)
    if (row := _first(table, bad)) is not None:
        raise DataError(f"cost {table['cost'][row]:g} in {source}, row {row} is not a finite USD amount >= 0; mend it")


def _first(table: pl.DataFrame, condition: pl.Expr) -> int | None:
    """Position of the first row that fulfils `condition`."""
    rows = table.lazy().with_row_index("_row").filter(condition).select("_row").head(1).collect()["_row"]
    return int(rows[0]) if len(rows) else None
