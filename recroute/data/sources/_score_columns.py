"""Columns of scores in a table: how they are written, what they range over, and which are none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.numbers import MISSING, NumberReader, is_text, plain_number
from recroute.data.sources._entities import LongTable
from recroute.data.tables import reading_table
from recroute.errors import DataError, argument, either

YES_NO = ("yes", "no")  # true and false need no note
SCALES = ("percent", "minmax")
# What pandas, Arrow and polars call the column of row labels that a program wrote without a name.
UNNAMED = re.compile(r"(Unnamed: \d+(\.\d+)?|__index_level_\d+__|)")
# What people and programs call a column of row numbers; an LLM may be called so too, if its scores are none.
NUMBERED = ("index", "level_0", "id", "idx", "row", "rowid", "row_id", "rownames", "row.names", "X", "no", "nr", "#")
BATCH = 1 << 18  # scores read at once
FEWEST = 3  # rows from which on 0, 1, 2, ... are no scores


@dataclass(frozen=True)
class Range:
    """The smallest and the largest number of a column, NaN left out; None where there is none."""

    low: float | None
    high: float | None


def ranges(table: LongTable, columns: Sequence[str], notes: list[str], leave_out: str = "") -> dict[str, Range]:
    """The range of each column of scores; how they are written, where that had to be told, becomes a note.

    `leave_out` is how a person can leave out a column that is no LLM, for messages.

    Raises DataError for a column that is none of numbers.
    """
    texts = [name for name in columns if is_text(table.frame.collect_schema()[name])]
    found = _ranges_of_numbers(table, [name for name in columns if name not in texts])
    if texts:
        found |= _ranges_of_text(table, texts, notes, leave_out)
    return {name: found[name] for name in columns}


def _ranges_of_numbers(table: LongTable, columns: Sequence[str]) -> dict[str, Range]:
    kinds = table.frame.collect_schema()
    reader = NumberReader(table.path.name, lambda _: f"; name another column with {argument('columns')}")
    reader.read(pl.DataFrame(schema={name: kinds[name] for name in columns}))  # refuses other kinds
    numbers = [_value(table, name).fill_nan(None) for name in columns]
    ends = [end.alias(str(at)) for at, end in enumerate([*(n.min() for n in numbers), *(n.max() for n in numbers)])]
    with reading_table(table.path):
        found = table.frame.select(ends).collect(engine="streaming").row(0) if columns else ()
    return {name: Range(found[at], found[at + len(columns)]) for at, name in enumerate(columns)}


def _ranges_of_text(table: LongTable, columns: Sequence[str], notes: list[str], leave_out: str) -> dict[str, Range]:
    reader = NumberReader(table.path.name, mend(columns, leave_out))
    low, high = np.full(len(columns), np.nan), np.full(len(columns), np.nan)
    for batch in batches(table, columns, len(columns)):
        block = reader.read(batch).fill_null(np.nan).to_numpy()
        low = np.fmin(low, np.fmin.reduce(block, axis=0))
        high = np.fmax(high, np.fmax.reduce(block, axis=0))
    notes += _how_written(reader)
    known = [Range(a, b) if a <= b else Range(None, None) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    return dict(zip(columns, known, strict=True))


def mend(llms: Sequence[str], leave_out: str) -> Callable[[str], str]:
    """How a column in which something is no number can be left out, by its name."""
    return lambda name: f", or leave the column out with {leave_out}{name}" if leave_out and name in llms else ""


def batches(table: LongTable, columns: Sequence[str], n_wide: int = 1) -> Iterator[pl.DataFrame]:
    """Some rows at a time of these columns of a table, `n_wide` scores in each."""
    rows = max(1, BATCH // max(n_wide, 1))
    with reading_table(table.path):
        yield from table.frame.select(columns).collect_batches(chunk_size=rows, maintain_order=True)


def _value(table: LongTable, name: str) -> pl.Expr:
    """A column as f64, null where it is no plain number."""
    if is_text(table.frame.collect_schema()[name]):
        return plain_number(pl.col(name))
    return pl.col(name).cast(pl.Float64, strict=False)


def _how_written(reader: NumberReader) -> list[str]:
    notes = []
    if reader.commas:
        notes.append(f"numbers of {reader.source} have a decimal comma")
    words = sorted(reader.words)
    if known := [word for word in words if word.lower() in YES_NO]:
        notes.append(f"{_listed(known)} in {reader.source} are taken for 1 and 0")
    if unknown := [word for word in words if word.lower() in MISSING]:
        notes.append(f"{_listed(unknown)} in {reader.source} are taken for scores that are missing")
    return notes


def index_columns(table: LongTable, names: Sequence[str]) -> list[str]:
    """Columns without a name that are the labels of rows; DataError for one that may be the scores of an LLM."""
    unnamed = [name for name in names if UNNAMED.fullmatch(name)]
    for name in unnamed:
        value = _value(table, name)
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
            mend = either(f"--set 'ignore={name}'", f"ignore={name!r}")
            raise DataError(
                f"column {name!r} of {table.path.name} has numbers and no name of its own: give it the name of its "
                f"LLM, or leave it out with {mend}"
            )
    return unnamed


def counting_columns(table: LongTable, found: dict[str, Range], n_rows: int) -> list[str]:
    """Columns that count the rows, or number them in another order, instead of holding scores."""
    checks = []
    for name, of in found.items():
        if of.low is None or of.high is None or of.high <= 1:
            continue
        value, row = _value(table, name), pl.int_range(pl.len()).cast(pl.Float64)
        if n_rows >= FEWEST and of.low in (0, 1) and of.high - of.low == n_rows - 1:
            checks.append((value - row == of.low).fill_null(False).all().alias(name))
        elif name in NUMBERED:
            checks.append(
                ((value == value.round()).fill_null(False).all() & (value.n_unique() == pl.len())).alias(name)
            )
    if not checks:
        return []
    with reading_table(table.path):
        counted = table.frame.select(checks).collect(engine="streaming")
    return [name for name in counted.columns if counted[name].item()]


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
    """Scores less the first number, divided by the second; see `scaling`."""
    low, width = by
    return scores if by == (0.0, 1.0) else (scores - low) / width


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(map(repr, words[:-1])), repr(words[-1])] if len(words) > 1 else [repr(words[0])])
