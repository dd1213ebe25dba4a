"""Reading files of a data set: one place for what readers raise of a damaged one, and for what a file may announce."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from recroute.errors import DataError, RecrouteError

# How far a Parquet file may swell in memory: ids that repeat shrink a thousandfold, and small files may hold anything.
SWELL, SMALL = 1000, 1 << 28
DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    EOFError,
    zlib.error,
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


def refuse_twice(names: Collection[str], path: Path) -> None:
    """Raise DataError if a column stands twice, where readers would take one of them or make up a name."""
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise DataError(f"column {twice[0]!r} stands twice in {path.name}; keep one of them, or rename one")


def refuse_swollen(path: Path, n_rows: int, n_bytes: int = 0) -> None:
    """Raise DataError if a file announces more rows, or bytes of values, than its size allows for."""
    size = path.stat().st_size
    announced = max(n_bytes, 4 * n_rows)
    if announced > max(SMALL, SWELL * size):
        raise DataError(f"{path} announces {n_rows:,} rows, {announced:,} bytes, in a file of {size:,}; write it again")


def is_there(path: Path) -> bool:
    """Whether a file of a folder is there, to be read; DataError where something stands there that is no file."""
    if not path.exists() and not path.is_symlink():
        return False
    return bool(regular_file(path))
