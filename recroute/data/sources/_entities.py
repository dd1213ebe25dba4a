"""Who is who in tables of answers: instances and LLMs by their ids, with what the tables say of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from recroute.data.numbers import is_text
from recroute.data.schema import LABELS, label_text
from recroute.data.tables import reading_table
from recroute.errors import DataError, argument

INSTANCE_COLUMNS = ("prompt", "task", "benchmark", "split")
LLM_COLUMNS = ("family", "n_params_b", "price_in", "price_out")
PLACES = ("task", "benchmark")  # in which ids may be counted anew
BETWEEN = (".", "/", ":", "|", "#")  # a place and an id: the first that no place has in its name


@dataclass(frozen=True)
class LongTable:
    """One row per answer: `instance_id, llm_id, score`, perhaps `cost` and columns of the instance or the LLM.

    Parameters
    ----------
    path : Path
        For messages.
    frame : polars.LazyFrame
    """

    path: Path
    frame: pl.LazyFrame

    @property
    def names(self) -> list[str]:
        return self.frame.collect_schema().names()


def with_text_ids(table: LongTable) -> LongTable:
    """The table with ids and names of tasks as text; DataError for numbers that are not whole."""
    numbers = [name for name, kind in table.frame.collect_schema().items() if name in LABELS and not is_text(kind)]
    with reading_table(table.path):
        texts = [label_text(table.frame, name, table.path.name).alias(name) for name in numbers]
        return replace(table, frame=table.frame.with_columns(texts))


def instance_table(tables: Sequence[LongTable], notes: list[str]) -> tuple[list[LongTable], pl.DataFrame]:
    """The tables with ids that tell instances apart, and a row for each instance, in order of first appearance.

    One id may stand for an instance in each of several tasks, which count theirs from 0: the task then becomes a part
    of the id. DataError where one id of one task has two prompts.
    """
    found = _described(tables, "instance_id", INSTANCE_COLUMNS)
    tables = list(tables)
    for place in PLACES:
        if place in found.columns and (_several(found, place) & _may_be_others(found)).any():
            tables = _prefixed(tables, place, found, notes)
            found = _described(tables, "instance_id", INSTANCE_COLUMNS)
    _refuse_two_prompts(found, tables[0].path.name)
    return tables, _one_each(found, "instance_id", INSTANCE_COLUMNS, notes)


def llm_table(tables: Sequence[LongTable], notes: list[str]) -> pl.DataFrame:
    """A row for each LLM, in order of first appearance."""
    found = _one_each(_described(tables, "llm_id", LLM_COLUMNS), "llm_id", LLM_COLUMNS, notes)
    numbers = [column for column in found.columns if column in LLM_COLUMNS[1:]]
    return found.with_columns(pl.col(column).cast(pl.Float64, strict=False) for column in numbers)


def _described(tables: Sequence[LongTable], key: str, columns: Sequence[str]) -> pl.DataFrame:
    """A row for each id, with the first and the last in alphabetical order of what the tables say of it."""
    parts = []
    for order, table in enumerate(tables):
        there = [column for column in columns if column in table.names]
        with reading_table(table.path):
            part = (
                table.frame.with_row_index("_row")
                .group_by(pl.col(key).cast(pl.String))
                .agg(
                    pl.col("_row").min(),
                    *(pl.col(column).cast(pl.String).min() for column in there),
                    *(pl.col(column).cast(pl.String).max().alias(f"_max_{column}") for column in there),
                )
                .collect(engine="streaming")
            )
        if part[key].null_count():
            row = part.filter(pl.col(key).is_null())["_row"][0]
            raise DataError(f"{key} is missing in {table.path.name}, row {row}; fill it in")
        parts.append(part.with_columns(pl.lit(order).alias("_table"), pl.col("_row").cast(pl.Int64)))
    joined = pl.concat(parts, how="diagonal").sort("_table", "_row")
    found = [column for column in columns if column in joined.columns]
    return joined.group_by(key, maintain_order=True).agg(
        *(pl.col(column).min() for column in found),
        *(pl.col(f"_max_{column}").max() for column in found),
    )


def _several(found: pl.DataFrame, column: str) -> pl.Series:
    """Whether an id came with more than one value of a column."""
    return (found[column] != found[f"_max_{column}"]).fill_null(False)


def _may_be_others(found: pl.DataFrame) -> pl.Series:
    """Whether an id may stand for several instances: it came with several prompts, or none is known."""
    if "prompt" not in found.columns:
        return pl.repeat(True, found.height, eager=True)
    return _several(found, "prompt") | found["prompt"].is_null()


def _prefixed(tables: list[LongTable], place: str, found: pl.DataFrame, notes: list[str]) -> list[LongTable]:
    """The tables with the place before each id."""
    name = f"_max_{place}"
    places = pl.concat([found[place], found[name].rename(place)]).drop_nulls().unique()
    between = next((sign for sign in BETWEEN if not places.str.contains(sign, literal=True).any()), None)
    if between is None:
        raise DataError(
            f"instance_id is the same in several {place}s of {tables[0].path.name}, which are other instances there; "
            f"write ids that are unique, such as the name of the {place} and the id"
        )
    several = found.filter(_several(found, place))
    first = several.row(0, named=True)
    notes.append(
        f"{several.height:,} of {found.height:,} instance ids stand in more than one {place}, such as "
        f"{first['instance_id']!r} in {first[place]!r} and {first[name]!r}: other instances, so ids became "
        f"{place}{between}id"
    )
    whole = pl.concat_str(pl.col(place).cast(pl.String).fill_null("none"), "instance_id", separator=between)
    return [
        replace(table, frame=table.frame.with_columns(instance_id=whole)) if place in table.names else table
        for table in tables
    ]


def _refuse_two_prompts(found: pl.DataFrame, source: str) -> None:
    if "prompt" not in found.columns:
        return
    several = found.filter(_several(found, "prompt"))
    if several.height:
        row = several.row(0, named=True)
        a, b = (_shortened(row[name]) for name in ("prompt", "_max_prompt"))
        more = f" and {several.height - 1:,} more" if several.height > 1 else ""
        raise DataError(
            f"instance_id {row['instance_id']!r}{more} came with two prompts in {source}: {a!r} and {b!r}; give each "
            f"prompt an id of its own, or leave the prompts out ({argument('ignore', 'prompt', option='set')})"
        )


def _shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[:most] + "..."


def _one_each(found: pl.DataFrame, key: str, columns: Sequence[str], notes: list[str]) -> pl.DataFrame:
    """A row for each id; of what came with several values the first stands, with a note."""
    there = [column for column in columns if column in found.columns]
    for column in there:
        if clash := found.filter(_several(found, column))[key].to_list():
            what = f"{key} {clash[0]!r}" + (f" and {len(clash) - 1} more" if len(clash) > 1 else "")
            if column == "split":
                raise DataError(f"{what} stands in two parts of the split; an instance belongs to one")
            notes.append(f"{what} came with more than one {column}; the first in alphabetical order stands")
    return found.select(key, *there)
