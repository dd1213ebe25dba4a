"""CSV and its kin as programs and people write them: which encoding, which separator, which line ends, which header."""

from __future__ import annotations

import csv
import gzip
import io
import mmap
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

import polars as pl

from recroute.data.reading import refuse_twice
from recroute.errors import DataError
from recroute.util.zstandard import opened_zstandard

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
LONGEST_FIELD = 2**31 - 1  # characters
COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}  # by the first bytes of a file
# UTF-32 first: its mark begins with that of UTF-16.
MARKS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
SEP_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)  # Excel's first line
LOOK = 1 << 16  # bytes in which line ends are looked for
# What polars reads: a file in UTF-8, compressed or not, or the text of a file in another encoding.
Text = Path | io.BytesIO


def compression(path: Path) -> str | None:
    """What a file is compressed with, by its first bytes, whatever its name says."""
    with path.open("rb") as file:
        start = file.read(4)
    return next((name for mark, name in COMPRESSED.items() if start.startswith(mark)), None)


@contextmanager
def opened_bytes(source: Text) -> Iterator[BinaryIO]:
    """The content without its compression, as a stream."""
    if isinstance(source, io.BytesIO):
        yield io.BytesIO(source.getvalue())
        return
    packed = compression(source)
    with source.open("rb") as file:
        if packed is None:
            yield file
        elif packed == "zstd":
            with opened_zstandard(file) as stream:
                yield stream
        else:
            with gzip.GzipFile(fileobj=file) as stream:
                yield cast(BinaryIO, stream)


def as_utf8(path: Path, notes: list[str]) -> Text:
    """The file itself where it is UTF-8, as it should be, else its text; DataError for what cannot be told."""
    with opened_bytes(path) as stream:
        start = stream.read(LOOK)
        mark = next((mark for mark in MARKS if start.startswith(mark)), None)
        if mark is None:
            if b"\0" in start[:100]:
                raise DataError(f"{path.name} holds NUL bytes, as UTF-16 without its mark does; save it as UTF-8")
            return path
        content = start + stream.read()
    try:
        text = content.decode(MARKS[mark])
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is not valid {MARKS[mark]} ({error.reason}); save it as UTF-8") from None
    notes.append(f"{path.name} is {MARKS[mark]}")
    return io.BytesIO(text.encode("utf8", "replace"))


def open_delimited(path: Path, usual: str, known: Collection[str], notes: list[str]) -> pl.LazyFrame:
    """The table in a file, all columns as text: ids such as 007 are names.

    Parameters
    ----------
    path : Path
    usual : str
        The separator that the file's name promises; another one is taken where that gives no column that is known.
    known : collection of str
        Names of columns that may be expected.
    notes : list of str
        What was guessed is added to it.
    """
    source = as_utf8(path, notes)
    separator, skip, header = _dialect(source, usual, known)
    names = [name.strip() for name in header]
    if any("\ufffd" in name for name in names):  # polars puts that for what it cannot read, in a header alone
        with opened_bytes(source) as lines:
            refuse_encoding(lines, path)
    spaced = any(name.startswith(" ") for name in header[1:])
    if separator != usual and not skip:
        notes.append(f"{path.name} is separated by {SEPARATORS[separator]}")
    with opened_bytes(source) as stream:
        start = stream.read(LOOK)
    line_end = "\r" if b"\r" in start and b"\n" not in start else "\n"
    frame = pl.scan_csv(source, infer_schema=False, separator=separator, skip_lines=skip, eol_char=line_end, glob=False)
    there = frame.collect_schema().names()
    _refuse_lines(frame, path, source, separator, skip)
    if len(names) == len(there):
        names = [name or f"Unnamed: {at}" for at, name in enumerate(names)]  # as pandas calls them
        refuse_twice(names, path)
        frame = frame.rename({old: new for old, new in zip(there, names, strict=True) if old != new})
    if spaced:  # "a, b": values begin with that space, too
        frame = frame.with_columns(pl.all().str.strip_chars_start(" "))
    return frame.filter(~pl.all_horizontal(pl.all().is_null())) if _has_empty_lines(source, separator) else frame


def _refuse_lines(frame: pl.LazyFrame, path: Path, source: Text, separator: str, skip: int) -> None:
    """Raise DataError with the first line that is not UTF-8 or has more fields than the header, if polars meets one.

    It drops fields that are too many without a word where columns are chosen.
    """
    try:
        frame.select(pl.all().count()).collect(engine="streaming")
    except pl.exceptions.PolarsError:
        with opened_bytes(source) as lines:
            refuse_encoding(lines, path)
        _refuse_extra_fields(path, source, separator, skip)
        raise


def refuse_encoding(lines: Iterable[bytes], path: Path) -> None:
    """Raise DataError with the first line that is not UTF-8, if there is one."""
    for number, line in enumerate(lines, 1):
        try:
            line.decode("utf8")
        except UnicodeDecodeError as error:
            shown = line[max(error.start - 20, 0) : error.start + 20].decode("cp1252", "replace").strip()
            raise DataError(
                f"{path.name}, line {number} is not UTF-8 (in CP1252 it says {shown!r}); save the file as UTF-8"
            ) from None


def _refuse_extra_fields(path: Path, source: Text, separator: str, skip: int) -> None:
    with _lines(source) as lines, suppress(csv.Error, StopIteration):
        rows = csv.reader(lines, delimiter=separator)
        for _ in range(skip):
            next(rows)
        width, line = len(next(rows)), rows.line_num + 1
        for row in rows:
            if len(row) > width:
                raise DataError(
                    f"{path}, line {line} has {len(row)} fields, but the header has {width}; name the missing columns "
                    f"in the header, or put a text that holds {separator!r} in double quotes"
                )
            line = rows.line_num + 1


def _dialect(source: Text, usual: str, known: Collection[str]) -> tuple[str, int, list[str]]:
    """Separator, lines before the header, and the header."""
    with _lines(source) as lines:
        said = SEP_LINE.fullmatch(lines.readline().rstrip("\r\n"))
    if said:
        return said[1], 1, _header(source, said[1], 1)
    headers = {separator: _header(source, separator, 0) for separator in dict.fromkeys((usual, *SEPARATORS))}

    def fits(separator: str) -> tuple[int, bool]:
        return len({name.strip() for name in headers[separator]} & {*known}), len(headers[separator]) > 1

    found = max(headers, key=fits)  # the usual one comes first, and stays where no other fits better
    return found, 0, headers[found]


def _header(source: Text, separator: str, skip: int) -> list[str]:
    """The names in the header; none where it cannot be read."""
    with _lines(source) as lines:
        rows = csv.reader(lines, delimiter=separator)
        with suppress(csv.Error, StopIteration):
            for _ in range(skip):
                next(rows)
            while not (names := next(rows)):
                pass
            return names
    return []


@contextmanager
def _lines(source: Text) -> Iterator[io.TextIOWrapper]:
    csv.field_size_limit(LONGEST_FIELD)
    with opened_bytes(source) as stream, io.TextIOWrapper(stream, "utf-8-sig", "replace", newline="") as lines:
        yield lines


def _has_empty_lines(source: Text, separator: str) -> bool:
    """Whether there may be lines without a value, as hands and spreadsheets leave them; polars makes rows of these."""
    if isinstance(source, Path):
        if compression(source):
            return True
        with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _any_empty(content, separator)
    return _any_empty(source.getvalue(), separator)


def _any_empty(content: bytes | mmap.mmap, separator: str) -> bool:
    starts = ("\n\n", "\n\r", "\r\r", f"\n{separator}", f"\r{separator}")
    return any(content.find(start.encode()) >= 0 for start in starts)
