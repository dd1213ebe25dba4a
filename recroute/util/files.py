"""Atomic writing of files; every file that recroute writes goes through this module.

Links are followed. Pipes and devices are written to directly. `-` is standard output.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recroute.errors import RecrouteError
from recroute.util.temporary import temporary_file

if TYPE_CHECKING:
    import polars as pl


def write_text(path: str | Path, text: str) -> None:
    """Write text as UTF-8; RecrouteError if the file cannot be written."""
    with new_file(Path(path)) as temporary:
        temporary.write_bytes(text.encode("utf8", "backslashreplace"))


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as JSON, see `to_json`; RecrouteError if the file cannot be written."""
    write_text(path, f"{to_json(value, indent=1)}\n")


def write_parquet(path: str | Path, table: pl.DataFrame | pl.LazyFrame, row_group_size: int | None = None) -> None:
    """Write a table as parquet, a lazy one as it comes; RecrouteError if the file cannot be written."""
    from polars.exceptions import PolarsError

    with new_file(Path(path)) as temporary:
        try:
            table.lazy().sink_parquet(temporary, compression="zstd", row_group_size=row_group_size)
        except PolarsError as error:  # which does not pass on the system's error
            raise RecrouteError(f"{path} cannot be written: {error}; is the disk full?") from None


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON of mappings, lists, tuples, paths, and NumPy scalars and arrays; NaN and infinity become null.

    >>> to_json({"mean": float("nan"), "path": Path("a")})
    '{"mean": null, "path": "a"}'
    """
    try:
        return json.dumps(value, indent=indent, allow_nan=False, default=_plain)
    except ValueError:
        return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # a NumPy scalar or array
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value if value is None or isinstance(value, str | int) else _finite(_plain(value))


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Context manager: a temporary file whose content replaces that of `path` when the block ends without an error.

    An existing regular file is replaced atomically and keeps its permissions. If it has several hard links, or its
    folder cannot be written to, it is overwritten in place, as are pipes and devices.

    Raises
    ------
    RecrouteError
        If the file cannot be written.
    """
    try:
        found = _status(path)
        if is_stdout(path) or (found is not None and not _is_replaceable(path, found)):
            with tempfile.TemporaryDirectory(prefix="recroute-") as folder:
                yield Path(folder) / "output"
                _pour(Path(folder) / "output", path)
            return
        target = resolved(path)
        make_folder(target.parent)
        with temporary_file(target) as temporary:
            yield temporary
            if found is not None:
                _keep_owner_and_mode(temporary, found)
            temporary.replace(target)
    except BrokenPipeError:  # the reader has closed the pipe
        raise
    except OSError as error:
        place = "standard output" if str(path) == "-" else path
        raise RecrouteError(f"{place} cannot be written: {error.strerror or error}") from None


def check_file(path: Path) -> None:
    """Raise RecrouteError, before any work is done, if `new_file` could not write the file."""
    if is_stdout(path):
        if sys.stdout is None:
            raise RecrouteError("standard output is closed, so nothing can be written there; name a file")
        return
    found = _status(path)
    folder = resolved(path).parent
    if found is None and not folder.is_dir():
        raise RecrouteError(f"folder {folder} does not exist; make it, or name another place")
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise RecrouteError(f"{path} is a folder; name a file")
    if found is not None and stat.S_ISSOCK(found.st_mode):
        raise RecrouteError(f"{path} is a socket; name a file")
    if not os.access(folder if found is None else path, os.W_OK):
        raise RecrouteError(f"{path} cannot be written to: no permission; name another place")


def make_folder(path: Path) -> None:
    """Make a folder and its parents unless they exist; a link is followed. RecrouteError if that fails."""
    try:
        resolved(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecrouteError(f"folder {path} cannot be made: {error.strerror}; name another place") from None


def is_stdout(path: Path) -> bool:
    """Whether a path is standard output: `-`, or the file or pipe that standard output is redirected to."""
    if str(path) == "-":
        return True
    try:
        found, own = os.stat(path), os.fstat(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # no such file; or standard output is None or closed
        return False
    return not stat.S_ISCHR(found.st_mode) and os.path.samestat(found, own)


def is_stream(path: Path) -> bool:
    """Whether a path is standard output, a pipe or a device, so that nothing is kept there."""
    found = _status(path)
    return is_stdout(path) or (found is not None and not stat.S_ISREG(found.st_mode))


def resolved(path: Path) -> Path:
    """The path with all links followed; it need not exist. RecrouteError if links form a loop."""
    _status(path)
    return Path(os.path.realpath(path))


def _status(path: Path) -> os.stat_result | None:
    """Status of what the path leads to, with all links followed; None if it does not exist."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise RecrouteError(f"{path} is a link that leads back to itself; name another place") from None
        raise RecrouteError(f"{path}: {error.strerror}; name another place") from None


def _is_replaceable(path: Path, found: os.stat_result) -> bool:
    alone = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
    return alone and os.access(resolved(path).parent, os.W_OK) and not os.path.ismount(resolved(path))


def _keep_owner_and_mode(path: Path, found: os.stat_result) -> None:
    if hasattr(os, "chown"):
        with suppress(OSError):  # only root may give files away
            os.chown(path, found.st_uid, found.st_gid)
    path.chmod(stat.S_IMODE(found.st_mode))


def _pour(source: Path, path: Path) -> None:
    """Write the content of a file to standard output, a pipe or a device, or overwrite a file with it."""
    if not is_stdout(path):
        with source.open("rb") as content, path.open("wb") as target:
            shutil.copyfileobj(content, target)
        return
    sys.stdout.flush()
    if hasattr(sys.stdout, "buffer"):
        sys.stdout.buffer.write(source.read_bytes())
    else:  # a notebook, or a test that captures the output
        sys.stdout.write(source.read_text(encoding="utf8"))
    sys.stdout.flush()


def sha256(file: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
