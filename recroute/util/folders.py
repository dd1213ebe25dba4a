"""Folders that are either the old ones or the new ones, never half of each."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from recroute.errors import RecrouteError
from recroute.util.files import make_folder, resolved
from recroute.util.temporary import lock, locked

T = TypeVar("T")
TICK = 0.02  # seconds; Linux stamps files 100 to 1,000 times a second
LOOKS = 5  # at a place with nothing: each is fooled only by a writer who moves the folder in the middle of it
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
    """What `read` makes of the folder, read again where another took its place meanwhile: never half of each.

    An error is raised when it is met twice in a folder that stayed, a tick of the file system's clock apart: one that
    was moved away and put back within a tick looks as if it had stayed.
    """
    failed: list[os.stat_result | None] = []
    for _ in range(TRIES):
        place = standing(path)
        handle, before = _identity(place)
        try:
            found = read(place)
        except (OSError, ValueError, KeyError):
            if failed and _is_still(failed.pop(), path, unmoved=True):
                raise
            failed = [before]
            time.sleep(TICK)
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
    looks = (_stat(standing(path)) for _ in range(LOOKS))
    now = next((found for found in looks if found is not None), None)
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


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # what only writing can raise


@contextmanager
def new_folder(path: Path, marker: str) -> Iterator[Path]:
    """A temporary folder that takes the place of `path` when the block ends without an error; a link is followed.

    An existing folder is replaced only if it holds the file `marker`, so that nothing foreign is lost. Several writers
    may be at work at the same place: each replaces the whole folder, and the last one's stays.
    """
    check_new_folder(path, marker)
    path = resolved(path)
    make_folder(path.parent)
    with unfinished_folder(path) as temporary:
        try:
            yield temporary
            temporary.chmod(_mode(path))  # mkdtemp's 0700 would hide a shared result from its readers
            check_new_folder(path, marker)
            replace_folder(temporary, path)
        except OSError as error:
            if error.errno in FULL or str(temporary) in str(error.filename):
                raise RecrouteError(f"{path} cannot be written: {error.strerror or error}") from None
            raise
        except RecrouteError as error:
            if str(temporary) in str(error):
                raise RecrouteError(str(error).replace(str(temporary), str(path))) from None
            raise


def check_new_folder(path: Path, marker: str) -> None:
    """Refuse a place that `new_folder` could not take, before the work is done."""
    real = _named_folder(path)
    recover(real)
    read_folder(real, lambda place: _check_ours(place, path, marker))
    if os.path.ismount(real):
        raise RecrouteError(f"{path} is a mount point and cannot be replaced; name a folder inside it")
    if real.exists() and Path.cwd().is_relative_to(real):
        raise RecrouteError(f"{path} is where this command runs and cannot be replaced; name a folder inside it")
    _refuse_unwritable(path, real.parents)


def check_folder(path: Path) -> None:
    """Refuse a folder that files could not be written into, before the work is done; there need be none yet."""
    real = _named_folder(path)
    if real.exists() and not real.is_dir():
        raise RecrouteError(f"{path} is a file; name a folder")
    _refuse_unwritable(path, (real, *real.parents))


def _named_folder(path: Path) -> Path:
    if str(path) == "-":
        raise RecrouteError("a folder cannot be written to standard output; name a folder")
    return resolved(path)


def _refuse_unwritable(path: Path, folders: Iterable[Path]) -> None:
    """Look at the first of the folders that is there."""
    above = next(folder for folder in folders if folder.exists())
    if not os.access(above, os.W_OK):
        raise RecrouteError(f"{path} cannot be written to: no permission in {above}; name another place")


def _check_ours(place: Path, path: Path, marker: str) -> None:
    try:
        names = os.listdir(place)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        names = [path.name]
    if names and marker not in names:
        raise RecrouteError(f"{path} exists and was not written by recroute (it has no {marker}); name another place")


def _mode(path: Path) -> int:
    """The permissions of the folder that is there, else those of one that everybody may read."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0o755
