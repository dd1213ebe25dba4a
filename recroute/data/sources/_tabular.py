"""Tables of answers, long or wide, as a stream of blocks: read twice, never held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recroute.data.content import Block, Content
from recroute.data.reading import refuse_extra_fields, regular_file
from recroute.data.schema import listed
from recroute.errors import DataError

SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".arrow", ".feather", ".ipc")
INSTANCE_COLUMNS = ("prompt", "task", "benchmark", "split")
LLM_COLUMNS = ("family", "n_params_b", "price_in", "price_out")
SCALES = ("percent", "minmax")
BATCH = 1 << 18
COST_SUFFIXES = ("|cost", "|total_cost")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns whatever a damaged table makes polars raise into one line."""
    try:
        yield
    except DataError:
        raise
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{path} cannot be read as {path.suffix.removeprefix('.')}: {reason}; fix the file") from None


def open_table(path: Path) -> pl.LazyFrame:
    """The table in a file, to be read in batches. Text columns of CSV stay text: ids such as 007 are names."""
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path.name} ends in {path.suffix or 'nothing'!r}; a table is {', '.join(SUFFIXES)}")
    if regular_file(path).stat().st_size == 0:
        raise DataError(f"{path} is an empty file; a table needs a header and at least one row")
    with reading(path):
        if path.suffix in (".csv", ".tsv"):
            separator = "\t" if path.suffix == ".tsv" else ","
            frame = pl.scan_csv(path, infer_schema=False, separator=separator, glob=False)
        elif path.suffix == ".parquet":
            frame = pl.scan_parquet(path, glob=False)
        elif path.suffix in (".jsonl", ".ndjson"):
            frame = pl.scan_ndjson(path, infer_schema_length=None)
        else:
            frame = pl.scan_ipc(path, glob=False)
        frame.collect_schema()
        if path.suffix in (".csv", ".tsv"):
            _refuse_extra_fields(frame, path, separator)
    return frame


def _refuse_extra_fields(frame: pl.LazyFrame, path: Path, separator: str) -> None:
    """Raise DataError for a row longer than the header, which polars drops without a word where columns are chosen."""
    try:
        frame.select(pl.all().count()).collect(engine="streaming")
    except pl.exceptions.PolarsError:
        refuse_extra_fields(path, separator)
        raise


def rename(frame: pl.LazyFrame, columns: Mapping[str, str], source: str) -> pl.LazyFrame:
    """The frame with columns {ours: theirs} under our names; a column of ours that is in the way is dropped."""
    there = frame.collect_schema().names()
    for ours, theirs in columns.items():
        if theirs not in there:
            raise DataError(f"column {theirs!r}, to be {ours}, is not in {source} ({listed(there)})")
    moved = {theirs: ours for ours, theirs in columns.items() if ours != theirs}
    in_the_way = [ours for ours in moved.values() if ours in there and ours not in moved]
    return frame.drop(in_the_way).rename(moved)


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


def long_content(tables: Sequence[LongTable], scale: str | None = None) -> Content:
    """The content of one or several long tables; ids in the order of their first appearance."""
    for table in tables:
        _require(table, ("instance_id", "llm_id", "score"))
    notes: list[str] = []
    instances = _entities(tables, "instance_id", INSTANCE_COLUMNS, notes)
    llms = _entities(tables, "llm_id", LLM_COLUMNS, notes)
    n_rows = 0
    for table in tables:
        with reading(table.path):
            n_rows += table.frame.select(pl.len()).collect(engine="streaming").item()
    scaling = _scaling([_range(table, [pl.col("score")]) for table in tables], scale)
    return Content(
        instances=instances,
        llms=llms,
        blocks=_long_blocks(tables, instances, llms, scaling),
        n_rows=n_rows,
        notes=notes,
        scaling="scale with --scale percent or --scale minmax, or fix that record",
    )


def wide_content(
    table: LongTable, llm_columns: Sequence[str], scale: str | None = None, leave_out: str = ""
) -> Content:
    """The content of a wide table: a row per instance, a column of scores per LLM, costs in `<llm>|total_cost`.

    `leave_out` is how a person can leave out a column that is no LLM, for the message about one.
    """
    _require(table, ("instance_id",))
    names = table.frame.collect_schema().names()
    kept = ["instance_id", *(column for column in INSTANCE_COLUMNS if column in names)]
    with reading(table.path):
        instances = table.frame.select(kept).collect(engine="streaming").with_columns(pl.all().cast(pl.String))
    scaling = _scaling([_range(table, [pl.col(llm) for llm in llm_columns])], scale)
    costs = {llm: llm + end for llm in llm_columns for end in COST_SUFFIXES if llm + end in names}
    return Content(
        instances=instances,
        llms=pl.DataFrame({"llm_id": list(llm_columns)}, schema={"llm_id": pl.String}),
        blocks=_wide_blocks(table, llm_columns, costs, scaling, leave_out),
        n_rows=instances.height * len(llm_columns),
        distinct=True,
        scaling="scale with --scale percent or --scale minmax, or fix that record",
    )


def _entities(tables: Sequence[LongTable], key: str, columns: Sequence[str], notes: list[str]) -> pl.DataFrame:
    """A row for each id, in order of first appearance, with what the tables say of it."""
    parts = []
    for order, table in enumerate(tables):
        there = [column for column in columns if column in table.frame.collect_schema().names()]
        with reading(table.path):
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
    joined = joined.group_by(key, maintain_order=True).agg(
        *(pl.col(column).min() for column in found),
        *(pl.col(f"_max_{column}").max() for column in found),
    )
    for column in found:
        if clash := joined.filter(pl.col(column) != pl.col(f"_max_{column}"))[key].to_list():
            what = f"{key} {clash[0]!r}" + (f" and {len(clash) - 1} more" if len(clash) > 1 else "")
            if column == "split":
                raise DataError(f"{what} stands in two parts of the split; an instance belongs to one")
            notes.append(f"{what} came with more than one {column}; the first in alphabetical order stands")
    joined = joined.select(key, *found)
    numbers = [column for column in found if column in ("n_params_b", "price_in", "price_out")]
    return joined.with_columns(pl.col(column).cast(pl.Float64, strict=False) for column in numbers)


def _long_blocks(
    tables: Sequence[LongTable], instances: pl.DataFrame, llms: pl.DataFrame, scaling: tuple[float, float]
) -> Iterator[Block]:
    rows, columns = pl.Enum(instances["instance_id"]), pl.Enum(llms["llm_id"])
    with_costs = all("cost" in table.frame.collect_schema().names() for table in tables)
    for table in tables:
        wanted = ["instance_id", "llm_id", "score", *(["cost"] if with_costs else [])]
        first = 0
        for batch in _batches(table, wanted):
            yield Block(
                batch["instance_id"].cast(pl.String).cast(rows).to_physical().to_numpy(),
                batch["llm_id"].cast(pl.String).cast(columns).to_physical().to_numpy(),
                _scaled(_numbers(batch["score"], table.path, first), scaling),
                _numbers(batch["cost"], table.path, first) if with_costs else None,
            )
            first += batch.height


def _wide_blocks(
    table: LongTable, llms: Sequence[str], costs: Mapping[str, str], scaling: tuple[float, float], leave_out: str
) -> Iterator[Block]:
    first = 0
    for batch in _batches(table, [*llms, *costs.values()], rows=max(1, BATCH // max(len(llms), 1))):
        scores = np.stack([_numbers(batch[llm], table.path, first, leave_out) for llm in llms], axis=1)  # (rows, LLMs)
        cost = None
        if costs:
            unknown = np.full(batch.height, np.nan)
            parts = [_numbers(batch[costs[llm]], table.path, first) if llm in costs else unknown for llm in llms]
            cost = np.stack(parts, axis=1).ravel()
        rows = np.repeat(np.arange(first, first + batch.height, dtype=np.int32), len(llms))
        columns = np.tile(np.arange(len(llms), dtype=np.int32), batch.height)
        yield Block(rows, columns, _scaled(scores.ravel(), scaling), cost)
        first += batch.height


def _batches(table: LongTable, columns: Sequence[str], rows: int = BATCH) -> Iterator[pl.DataFrame]:
    with reading(table.path):
        yield from table.frame.select(columns).collect_batches(chunk_size=rows, maintain_order=True)


def _numbers(column: pl.Series, path: Path, first: int, leave_out: str = "") -> NDArray[np.float64]:
    """The column as f64, NaN where it is missing; text that is no number raises DataError."""
    if column.dtype == pl.String:
        column = column.str.strip_chars()
        numbers = column.cast(pl.Float64, strict=False)
        wrong = column.is_not_null() & (column != "") & numbers.is_null()
        if wrong.any():
            row = int(wrong.arg_max() or 0)
            raise DataError(
                f"{column.name} {column[row]!r} in {path.name}, row {first + row} is not a number; fix that row"
                + (f", or leave the column out with {leave_out}{column.name}" if leave_out else "")
            )
    elif column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        numbers = column.cast(pl.Float64)
    else:
        raise DataError(
            f"column {column.name!r} is {column.dtype} in {path.name}, not a number; map another with --columns"
        )
    return numbers.fill_null(float("nan")).to_numpy()


def _range(table: LongTable, scores: Sequence[pl.Expr]) -> tuple[float, float] | None:
    """Smallest and largest score in the table, f64; None where there is none."""
    with reading(table.path):
        numbers = [score.cast(pl.Float64, strict=False).fill_nan(None) for score in scores]
        found = table.frame.select(
            pl.min_horizontal(n.min() for n in numbers).alias("low"),
            pl.max_horizontal(n.max() for n in numbers).alias("high"),
        ).collect(engine="streaming")
    low, high = found.row(0)
    return None if low is None else (low, high)


def _scaling(ranges: Sequence[tuple[float, float] | None], scale: str | None) -> tuple[float, float]:
    """What to subtract and what to divide by."""
    if scale is None:
        return 0.0, 1.0
    if scale == "percent":
        return 0.0, 100.0
    if scale != "minmax":
        raise DataError(f"scale {scale!r} is not one of {', '.join(SCALES)}")
    known = [limits for limits in ranges if limits is not None]
    low, high = min((a for a, _ in known), default=0.0), max((b for _, b in known), default=1.0)
    if not (np.isfinite(low) and np.isfinite(high) and high > low):
        raise DataError(f"scale 'minmax' needs scores that differ and are finite; they run from {low:g} to {high:g}")
    return low, high - low


def _scaled(scores: NDArray[np.float64], scaling: tuple[float, float]) -> NDArray[np.float64]:
    low, width = scaling
    return scores if (low, width) == (0.0, 1.0) else (scores - low) / width


def _require(table: LongTable, columns: Sequence[str]) -> None:
    there = table.frame.collect_schema().names()
    for column in columns:
        if column not in there:
            mend = f"map it with --columns {column}=NAME"
            raise DataError(f"{table.path.name} has no column {column!r} ({listed(there)}); {mend}")
