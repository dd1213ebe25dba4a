"""Atomic replacement of folders: readers get the old folder or the new one, never a mixture."""

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
CLOCK_TICK = 0.02  # seconds; the clock of file times on Linux ticks 100 to 1,000 times a second
EXISTENCE_CHECKS = 5  # of a folder that seems to be missing: each fails only if a writer is just moving the folder
TRIES = 100  # each fails only if another writer has just replaced the folder
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # from Linux's fcntl.h and fs.h
PREVIOUS = r"\.previous(-[0-9a-f]{8})?"  # earlier versions wrote no number
UNFINISHED = r"\.new-[a-z0-9_]{8}"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # errors that only writing can raise


@contextmanager
def unfinished_folder(path: Path) -> Iterator[Path]:
    """Context manager: an empty folder beside `path`, locked against other writers, and removed at the end."""
    folder, handle = locked(lambda: Path(tempfile.mkdtemp(prefix=f".{path.name}.new-", dir=path.parent)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)
        recover(path)


def replace_folder(new: Path, path: Path) -> None:
    """Rename the folder `new` to `path`, even if others write there at the same time; the last writer wins.

    On Linux the two names are exchanged in one step, so that `new` is then the old folder. Elsewhere it takes two
    steps; between them, the old folder has a name that `standing` and `recover` recognise.
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
    raise RecrouteError(f"{path} is replaced by others again and again; write to another place")


def read_folder(path: Path, read: Callable[[Path], T]) -> T:
    """Call `read` on the folder, and again if the folder was replaced in the meantime; returns its last result.

    An error that `read` raises is passed on only if it occurs twice in a folder that was not replaced. The two tries
    are a tick of the file system's clock apart, because a folder that is moved away and back within a tick looks
    unchanged.
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
            time.sleep(CLOCK_TICK)
        else:
            if _is_still(before, path):
                return found
        finally:
            if handle is not None:
                os.close(handle)
    raise RecrouteError(f"{path} is replaced again and again while it is read; wait for its writers to end")


def standing(path: Path) -> Path:
    """`path` if it exists, else the old folder of a writer that is replacing it or was killed while doing so."""
    if path.exists():
        return path
    return max(_beside(Path(os.path.realpath(path)), PREVIOUS), key=_written, default=path)


def recover(path: Path) -> None:
    """Clean up after killed writers: restore the folder that one moved away if `path` is missing, remove the rest."""
    path = Path(os.path.realpath(path))
    old = sorted(_beside(path, PREVIOUS), key=_written)
    if old and not path.exists():
        with suppress(OSError):  # another writer was faster
            old.pop().rename(path)
    for folder in old:
        with suppress(OSError):  # renamed before removal, so that a half-removed folder is never restored
            folder.rename(path.parent / f".{path.name}.new-{secrets.token_hex(4)}")
    for folder in _beside(path, UNFINISHED):
        with suppress(BlockingIOError):  # its writer is still working
            if (handle := lock(folder)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(handle)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange the names of two folders in one step; False if the system or the file system cannot do that."""
    try:
        call = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):  # not Linux
        return False
    return bool(call(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0)


def _identity(place: Path) -> tuple[int | None, os.stat_result | None]:
    """An open handle of a folder, if it can be opened, and its status.

    While the handle is open, the system does not reuse the folder's inode number.
    """
    try:
        handle = os.open(place, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        return handle, os.fstat(handle)
    except OSError:
        return None, _stat(place)


def _is_still(before: os.stat_result | None, path: Path, *, unmoved: bool = False) -> bool:
    """Whether the path still names the same folder; with `unmoved`, also whether it was never renamed."""
    statuses = (_stat(standing(path)) for _ in range(EXISTENCE_CHECKS))
    now = next((status for status in statuses if status is not None), None)
    if before is None or now is None:
        return before is now
    return os.path.samestat(before, now) and not (unmoved and before.st_ctime_ns != now.st_ctime_ns)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _beside(path: Path, suffix: str) -> list[Path]:
    """The folders beside `path` whose names are a dot, its name and text that matches `suffix`."""
    name = re.compile(rf"\.{re.escape(path.name)}{suffix}")
    try:
        return [found for found in path.parent.iterdir() if name.fullmatch(found.name)]
    except OSError:
        return []


def _written(folder: Path) -> int:
    found = _stat(folder)
    return 0 if found is None else found.st_mtime_ns


@contextmanager
def new_folder(path: Path, marker: str) -> Iterator[Path]:
    """Context manager: a temporary folder that replaces `path` when the block ends without an error.

    A link is followed. An existing folder is replaced only if it is empty or holds the file `marker`, so that no other
    folder is lost. Several writers may work at the same time: each replaces the whole folder, and the last one wins.
    """
    check_new_folder(path, marker)
    path = resolved(path)
    make_folder(path.parent)
    with unfinished_folder(path) as temporary:
        try:
            yield temporary
            temporary.chmod(_mode(path))  # mkdtemp creates it with 0700, which hides it from other users
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
    """Raise RecrouteError, before any work is done, if `new_folder` could not write the folder."""
    real = _named_folder(path)
    recover(real)
    read_folder(real, lambda place: _check_ours(place, path, marker))
    if os.path.ismount(real):
        raise RecrouteError(f"{path} is a mount point and cannot be replaced; name a folder inside it")
    if real.exists() and Path.cwd().is_relative_to(real):
        raise RecrouteError(f"{path} is where this command runs and cannot be replaced; name a folder inside it")
    _refuse_unwritable(path, real.parents)


def check_folder(path: Path) -> None:
    """Raise RecrouteError, before any work is done, if files could not be written into a folder; it need not exist."""
    real = _named_folder(path)
    if real.exists() and not real.is_dir():
        raise RecrouteError(f"{path} is a file; name a folder")
    _refuse_unwritable(path, (real, *real.parents))


def _named_folder(path: Path) -> Path:
    if str(path) == "-":
        raise RecrouteError("a folder cannot be written to standard output; name a folder")
    return resolved(path)


def _refuse_unwritable(path: Path, folders: Iterable[Path]) -> None:
    """Raise RecrouteError if the first of these folders that exists cannot be written to."""
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
    """Permissions of an existing folder, else 755, with which everybody may read it."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0o755
