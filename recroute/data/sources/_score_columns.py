"""Columns of scores in a table: how they are written, what they range over, and which are none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.numbers import (
    MISSING,
    WORDS,
    as_numbers,
    has_comma,
    is_odd,
    is_text,
    number,
    plain_number,
    refuse_mixed,
)
from recroute.data.sources._entities import LongTable
from recroute.data.tables import reading_table
from recroute.errors import DataError

SCALES = ("percent", "minmax")
# What pandas, Arrow and polars call the column of row labels that a program wrote without a name.
UNNAMED = re.compile(r"(Unnamed: \d+(\.\d+)?|__index_level_\d+__|)")
# What people and programs call a column of row numbers; an LLM may be called so too, if its scores are none.
NUMBERED = ("index", "level_0", "id", "idx", "row", "rowid", "row_id", "rownames", "row.names", "X", "no", "nr", "#")
FEWEST = 4  # rows from which on 0, 1, 2, ... are no scores


@dataclass(frozen=True)
class Range:
    """The smallest and the largest number of a column, NaN left out; None where there is none."""

    low: float | None
    high: float | None


def ranges(table: LongTable, columns: Sequence[str], notes: list[str]) -> dict[str, Range]:
    """The range of each column of scores; how they are written, where that had to be told, becomes a note.

    Raises DataError for a column with decimal commas and decimal points.
    """
    kinds = table.frame.collect_schema()
    for name in columns:
        as_numbers(pl.Series(name, [], kinds[name]), table.path.name, mend="; name another column with --columns")
    texts = [name for name in columns if is_text(kinds[name])]
    values = {name: plain_number(pl.col(name)) if name in texts else _cast(name) for name in columns}
    with reading_table(table.path):
        odd = table.frame.select(is_odd(pl.col(name)).any().alias(name) for name in texts).collect(engine="streaming")
        odd_columns = [name for name in texts if odd[name].item()]
        if odd_columns:
            notes += _how_written(table, odd_columns)
            values |= {name: number(pl.col(name)) for name in odd_columns}
        low, high = (
            table.frame.select(getattr(value.fill_nan(None), end)().alias(name) for name, value in values.items())
            .collect(engine="streaming")
            .row(0)
            for end in ("min", "max")
        )
    return {name: Range(low[at], high[at]) for at, name in enumerate(columns)}


def _cast(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Float64, strict=False)


def _how_written(table: LongTable, columns: Sequence[str]) -> list[str]:
    refuse_mixed(table.frame, columns, table.path.name)
    lower = {name: pl.col(name).cast(pl.String).str.strip_chars().str.to_lowercase() for name in columns}
    special = [*WORDS, *(word for word in MISSING if word)]
    found = table.frame.select(
        *(text.filter(text.is_in(special)).unique().implode().alias(name) for name, text in lower.items()),
        pl.any_horizontal(has_comma(pl.col(name)).any() for name in columns).alias("a decimal comma"),
    ).collect(engine="streaming")
    words = {word for name in columns for word in found[name].explode().drop_nulls()}
    notes = []
    if found["a decimal comma"].item():
        notes.append(f"numbers of {table.path.name} have a decimal comma")
    if known := [word for word in ("yes", "no") if word in words]:
        notes.append(f"{_listed(known)} in {table.path.name} are taken for 1 and 0")
    if unknown := [word for word in MISSING if word in words]:
        notes.append(f"{_listed(unknown)} in {table.path.name} are taken for scores that are missing")
    return notes


def index_columns(table: LongTable, names: Sequence[str]) -> list[str]:
    """Columns without a name that are the labels of rows; DataError for one that may be the scores of an LLM."""
    unnamed = [name for name in names if UNNAMED.fullmatch(name)]
    for name in unnamed:
        value = number(pl.col(name)) if is_text(table.frame.collect_schema()[name]) else _cast(name)
        with reading_table(table.path):
            n_known, n_distinct, n_whole = (
                table.frame.select(
                    value.drop_nulls().len().alias("n"),
                    value.drop_nulls().n_unique().alias("distinct"),
                    (value == value.round()).sum().alias("whole"),
                )
                .collect(engine="streaming")
                .row(0)
            )
        if n_whole < n_known or (n_distinct < n_known and n_distinct <= 2):
            raise DataError(
                f"column {name!r} of {table.path.name} has numbers and no name of its own: give it the name of its "
                f"LLM, or leave it out with --set 'ignore={name}'"
            )
    return unnamed


def counting_columns(table: LongTable, found: dict[str, Range]) -> list[str]:
    """Columns that count the rows, or number them in another order, instead of holding scores."""
    above = [name for name, of in found.items() if of.high is not None and of.high > 1]
    kinds, row = table.frame.collect_schema(), pl.int_range(pl.len()).cast(pl.Float64)
    checks = []
    for name in above:
        value = number(pl.col(name)) if is_text(kinds[name]) else _cast(name)
        step = value - row
        counts = (step == step.first()).all() & value.is_not_null().all() & step.first().is_in([0.0, 1.0])
        counts &= pl.len() >= FEWEST
        if name in NUMBERED:
            counts |= (value == value.round()).all() & value.is_not_null().all() & (value.n_unique() == pl.len())
        checks.append(counts.alias(name))
    if not checks:
        return []
    with reading_table(table.path):
        counted = table.frame.select(checks).collect(engine="streaming")
    return [name for name in above if counted[name].item()]


def scaling(found: Sequence[Range], scale: str | None) -> tuple[float, float]:
    """What to subtract from scores of these ranges, and what to divide by then."""
    if scale is None:
        return 0.0, 1.0
    if scale == "percent":
        return 0.0, 100.0
    if scale != "minmax":
        raise DataError(f"scale {scale!r} is not one of {', '.join(SCALES)}")
    low = min((of.low for of in found if of.low is not None), default=0.0)
    high = max((of.high for of in found if of.high is not None), default=1.0)
    if not (np.isfinite(low) and np.isfinite(high) and high > low):
        raise DataError(f"scale 'minmax' needs scores that differ and are finite; they run from {low:g} to {high:g}")
    return low, high - low


def scaled(scores: NDArray[np.float64], by: tuple[float, float]) -> NDArray[np.float64]:
    low, width = by
    return scores if by == (0.0, 1.0) else (scores - low) / width


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(map(repr, words[:-1])), repr(words[-1])] if len(words) > 1 else [repr(words[0])])
