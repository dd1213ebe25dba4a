"""Tables in files, whatever wrote them, as frames to be read in batches; what was guessed of their form is said."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from recroute.data.arrow_messages import column_names, is_file, n_announced
from recroute.data.delimited import compression, open_delimited
from recroute.data.json_tables import open_json
from recroute.data.parquet_footer import read_footer, sound_footer
from recroute.data.reading import reading, refuse_swollen, refuse_twice, regular_file
from recroute.errors import DataError

DELIMITED = {".csv": ",", ".tsv": "\t", ".tab": "\t", ".txt": "\t"}  # and what separates their fields, usually
JSON = (".jsonl", ".ndjson", ".json")
ARROW = (".arrow", ".feather", ".ipc")
SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", *JSON, *ARROW)
PACKED = (".gz", ".zst", ".zstd")
SHEETS = (".xlsx", ".xls", ".ods")


def kind_of(path: Path) -> str:
    """The suffix that says what is in a file, without that of its compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def open_table(path: Path, notes: list[str] | None = None, known: Collection[str] = ()) -> pl.LazyFrame:
    """The table in a file, to be read in batches. Columns of CSV are text: ids such as 007 are names.

    Parameters
    ----------
    path : Path
        CSV with any separator, in UTF-8 or marked UTF-16, JSON lines or an array, Parquet, or Arrow (file or stream);
        text may be compressed with gzip or zstd.
    notes : list of str, optional
        What was guessed is added to it.
    known : collection of str
        Columns that may be expected, by which a separator is known.

    Raises
    ------
    DataError
        If it is none of these, damaged, empty, or holds a column twice.
    """
    kind = kind_of(path)
    if kind not in (*SUFFIXES, ".tab"):
        mend = "; save the sheet as CSV" if kind in SHEETS else ""
        raise DataError(f"{path.name} ends in {kind or 'nothing'!r}; a table is {', '.join(SUFFIXES)}{mend}")
    if regular_file(path).stat().st_size == 0:
        raise DataError(f"{path} is an empty file; a table needs a header and at least one row")
    notes = [] if notes is None else notes
    with reading_table(path):
        if kind in DELIMITED:
            return open_delimited(path, DELIMITED[kind], known, notes)
        if kind in JSON:
            return open_json(path, notes)
        if packed := compression(path):
            raise DataError(f"{path.name} is compressed with {packed}; unpack it first")
        frame = _scan_parquet(path) if kind == ".parquet" else _scan_arrow(path)
        frame.collect_schema()
        return frame


def read_table(path: Path, notes: list[str] | None = None, known: Collection[str] = ()) -> pl.DataFrame:
    """The table in a file as `open_table` opens it, in memory, its values unchecked.

    Raises
    ------
    DataError
        For what `open_table` refuses, and for Parquet that announces more than its size allows for.
    """
    with reading_table(path):
        if kind_of(path) == ".parquet" and regular_file(path).stat().st_size:
            return _read_parquet(path)
        return open_table(path, notes, known).collect()


@contextmanager
def reading_table(path: Path) -> Iterator[None]:
    """Turns whatever a damaged table makes a reader raise into one line."""
    with reading(path, kind_of(path).removeprefix(".") or "a table"):
        yield


def _scan_parquet(path: Path) -> pl.LazyFrame:
    refuse_twice(read_footer(path).names, path)
    return pl.scan_parquet(path, glob=False, hive_partitioning=False)


def _scan_arrow(path: Path) -> pl.LazyFrame:
    """Arrow's file format, or its stream format, in which Hugging Face's datasets keep their tables."""
    refuse_twice(column_names(path), path)
    if is_file(path):
        return pl.scan_ipc(path, glob=False)
    refuse_swollen(path, n_announced(path))
    return pl.read_ipc_stream(path).lazy()


def _read_parquet(path: Path) -> pl.DataFrame:
    sound_footer(path)
    return _scan_parquet(path).collect()
