"""Reading files of a data set: one place for what readers raise of a damaged one, and for what a file may announce."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from recroute.errors import DataError, RecrouteError

SUFFIXES = (".parquet", ".csv", ".jsonl")
# How far a Parquet file may swell in memory: ids that repeat shrink a thousandfold, and small files may hold anything.
SWELL, SMALL = 1000, 1 << 28
LONGEST_FIELD = 2**31 - 1  # characters of a field of a CSV file
DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    pa.ArrowException,
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
)


def regular_file(path: Path) -> Path:
    """The path itself, if it can be read to an end: DataError for a folder, a pipe, a device and nothing at all."""
    if path.is_file():
        return path
    if not path.exists():
        raise DataError(f"no file at {path}; name another one")
    what = "a folder" if path.is_dir() else "a pipe or a device"
    raise DataError(f"{path} is {what}, not a regular file; name another one")


def read_json(path: Path) -> Any:
    """What a JSON file holds; DataError if it is not a regular file, or no JSON in UTF-8."""
    return parse_json(regular_file(path).read_bytes(), str(path))


def parse_json(content: str | bytes, where: str) -> Any:
    """What JSON holds; DataError naming `where` if it is none, or nested too deeply."""
    try:
        return json.loads(content if isinstance(content, str) else content.decode("utf8"))
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8 ({error.reason}); write the file again") from None
    except RecursionError:
        raise DataError(f"{where} is nested too deeply; fix it") from None
    except ValueError as error:  # also a number of too many digits
        raise DataError(f"{where} is not valid JSON: {error}; fix it") from None


def is_text(value: object) -> bool:
    """Whether it is text that can be written: no half of a character that takes two."""
    if not isinstance(value, str):
        return False
    try:
        value.encode("utf8")
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turns what a reader raises of a damaged file into a DataError that names the file and what it should be."""
    try:
        yield
    except RecrouteError:
        raise
    except DAMAGE as error:
        reason = getattr(error, "strerror", None) or str(error).strip().split("\n")[0] or type(error).__name__
        if isinstance(error, RecursionError):
            reason = "it is nested too deeply"
        raise DataError(f"{path} cannot be read as {what}: {reason[:300]}; write the file again") from None


def is_there(path: Path) -> bool:
    """Whether a file of a folder is there, to be read; DataError where something stands there that is no file."""
    if not path.exists() and not path.is_symlink():
        return False
    return bool(regular_file(path))


def read_table(path: Path) -> pl.DataFrame:
    """The table in a .parquet, .csv or .jsonl file as it is, unchecked. Columns of a CSV file are text.

    Raises
    ------
    DataError
        If it is none of these, damaged, empty, holds a column twice or announces more than its size allows for.
    """
    if path.suffix not in READERS:
        raise DataError(f"{path.name} ends in {path.suffix or 'nothing'!r}; records are {', '.join(SUFFIXES)}")
    regular_file(path)
    with reading(path, path.suffix[1:]):
        if path.stat().st_size == 0:
            raise DataError(f"{path} is an empty file; records need a header and at least one row")
        return READERS[path.suffix](path)


@contextmanager
def parquet_file(path: Path, dictionary: tuple[str, ...] = ()) -> Iterator[pq.ParquetFile]:
    """An open Parquet file; DataError for one that is damaged, or announces more than its size allows for."""
    with reading(path, "parquet"):
        told = pq.read_metadata(regular_file(path))
        size = path.stat().st_size
        announced = max(sum(told.row_group(i).total_byte_size for i in range(told.num_row_groups)), 4 * told.num_rows)
        if announced > max(SMALL, SWELL * size):
            raise DataError(
                f"{path} announces {told.num_rows:,} rows, {announced:,} bytes, in a file of {size:,}; write it again"
            )
        plain = {told.schema.column(i).path for i in range(told.num_columns)}  # what is nested has other paths
        with pq.ParquetFile(path, metadata=told, read_dictionary=[n for n in dictionary if n in plain]) as file:
            _refuse_twice(file.schema_arrow.names, path)
            yield file


def read_json_lines(content: bytes, source: str) -> pl.DataFrame:
    """The table in JSON lines; DataError with the first line that is none."""
    try:
        return pl.read_ndjson(io.BytesIO(content), infer_schema_length=None)
    except DAMAGE as error:
        raise DataError(f"{source}, {_first_bad(content, str(error))}; fix or remove that line") from None


def _read_parquet(path: Path) -> pl.DataFrame:
    with parquet_file(path) as file:
        table = file.read()
    table.validate(full=True)  # text that is UTF-8, which polars takes for granted
    for field in table.schema:  # as are names, and what is said of a column
        str(field)
        for told in (field.metadata or {}).items():
            b"".join(told).decode("utf8")
    found = pl.from_arrow(table.replace_schema_metadata(None))
    assert isinstance(found, pl.DataFrame)
    return found


def _read_csv(path: Path) -> pl.DataFrame:
    content = path.read_bytes()
    _refuse_utf16(content, path)
    try:  # text columns stay text: ids such as 007 are names, not numbers
        header = pl.read_csv(io.BytesIO(content), infer_schema=False, has_header=False, n_rows=1)
        _refuse_twice([str(name) for name in header.row(0)], path)
        return pl.read_csv(io.BytesIO(content), infer_schema=False)
    except pl.exceptions.PolarsError:
        refuse_extra_fields(path)
        raise


def refuse_extra_fields(path: Path, separator: str = ",") -> None:
    """Raise DataError with the first row of a CSV file that has more fields than its header, if there is one."""
    csv.field_size_limit(LONGEST_FIELD)
    with path.open(encoding="utf8", errors="replace", newline="") as lines, suppress(csv.Error):
        rows = csv.reader(lines, delimiter=separator)
        width, line = len(next(rows, ())), rows.line_num + 1
        for row in rows:
            if len(row) > width:
                raise DataError(
                    f"{path}, line {line} has {len(row)} fields, but the header has {width}; name the missing columns "
                    f"in the header, or put a text that holds {separator!r} in double quotes"
                )
            line = rows.line_num + 1


def _read_jsonl(path: Path) -> pl.DataFrame:
    return read_json_lines(path.read_bytes(), path.name)


READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
}


def _refuse_twice(names: list[str], path: Path) -> None:
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise DataError(f"column {twice[0]!r} occurs twice in {path}; keep one of them")


def _refuse_utf16(content: bytes, path: Path) -> None:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{path} is UTF-16; save it as UTF-8")


def _first_bad(content: bytes, reason: str) -> str:
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            if line.strip() and not isinstance(json.loads(line, parse_constant=_refuse_constant), dict):
                return f"line {number} is not a JSON object"
        except UnicodeDecodeError:
            return f"line {number} is not UTF-8"
        except RecursionError:
            return f"line {number} is nested too deeply"
        except ValueError as error:
            return f"line {number} is not valid JSON: {error}"
    return f"its lines do not fit together: {reason.strip().splitlines()[0]}"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number there")
