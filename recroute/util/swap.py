"""One folder in place of another, by several writers at once, and reading a folder that may be replaced meanwhile.

Readers rename and remove nothing. What a killed writer left is mended by the next writer at the same place.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from recroute.errors import RecrouteError
from recroute.util.temporary import lock, locked

T = TypeVar("T")
TRIES = 100  # each is lost only to another writer who has just replaced the folder
AT_FDCWD, RENAME_EXCHANGE = -100, 2
PREVIOUS = r"\.previous(-[0-9a-f]{8})?"  # without a number: of earlier commits
UNFINISHED = r"\.new-[a-z0-9_]{8}"


@contextmanager
def unfinished_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path`, locked so that other writers leave it alone, and removed at the end."""
    folder, handle = locked(lambda: Path(tempfile.mkdtemp(prefix=f".{path.name}.new-", dir=path.parent)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)
        recover(path)


def replace_folder(new: Path, path: Path) -> None:
    """Give the folder `new` the name `path`, whatever else writes there; the last one stays.

    In one step where the system can exchange two names: `new` is then the old folder. Elsewhere in two, between which
    the old folder has a name that `standing` and `recover` know.
    """
    for _ in range(TRIES):
        if _exchanged(new, path):
            return
        try:
            new.rename(path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        with suppress(FileNotFoundError):  # another writer has moved it
            path.rename(path.parent / f".{path.name}.previous-{secrets.token_hex(4)}")
    raise RecrouteError(f"{path} is replaced by others over and over; write to another place")


def read_folder(path: Path, read: Callable[[Path], T]) -> T:
    """What `read` makes of the folder, read again where another took its place meanwhile: never half of each."""
    for _ in range(TRIES):
        place = standing(path)
        handle, before = _identity(place)
        try:
            found = read(place)
        except (OSError, ValueError, KeyError):
            if _is_still(before, path, unmoved=True):
                raise
        else:
            if _is_still(before, path):
                return found
        finally:
            if handle is not None:
                os.close(handle)
    raise RecrouteError(f"{path} is replaced over and over while it is read; wait for its writers to end")


def standing(path: Path) -> Path:
    """`path`; where there is nothing, the old folder that a writer is replacing, or was when it was killed."""
    if path.exists():
        return path
    return max(_beside(Path(os.path.realpath(path)), PREVIOUS), key=_written, default=path)


def recover(path: Path) -> None:
    """Put back the folder that a killed writer moved away, if there is no other, and remove all else that it left."""
    path = Path(os.path.realpath(path))
    old = sorted(_beside(path, PREVIOUS), key=_written)
    if old and not path.exists():
        with suppress(OSError):  # another writer was here first
            old.pop().rename(path)
    for folder in old:
        with suppress(OSError):  # never half a folder under a name that may be put back
            folder.rename(path.parent / f".{path.name}.new-{secrets.token_hex(4)}")
    for folder in _beside(path, UNFINISHED):
        with suppress(BlockingIOError):  # its writer is at work
            if (handle := lock(folder)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(handle)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether the two names were exchanged in one step; False where the system, or the file system, cannot."""
    try:
        call = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):  # not Linux
        return False
    return bool(call(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0)


def _identity(place: Path) -> tuple[int | None, os.stat_result | None]:
    """What a path names: with a handle, where it can be opened, so that the folder's number is not given to another."""
    try:
        handle = os.open(place, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        return handle, os.fstat(handle)
    except OSError:
        return None, _stat(place)


def _is_still(before: os.stat_result | None, path: Path, *, unmoved: bool = False) -> bool:
    """Whether the path names the same folder; and has not lost its name in between, where that is asked."""
    now = _stat(standing(path))
    if before is None or now is None:
        return before is now
    return os.path.samestat(before, now) and not (unmoved and before.st_ctime_ns != now.st_ctime_ns)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _beside(path: Path, suffix: str) -> list[Path]:
    """The folders beside `path` that are named after it."""
    name = re.compile(rf"\.{re.escape(path.name)}{suffix}")
    try:
        return [found for found in path.parent.iterdir() if name.fullmatch(found.name)]
    except OSError:
        return []


def _written(folder: Path) -> int:
    found = _stat(folder)
    return 0 if found is None else found.st_mtime_ns
