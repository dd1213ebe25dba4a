"""Folders that are either the old ones or the new ones, never half of each."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from recroute.errors import RecrouteError
from recroute.util.files import make_folder, resolved
from recroute.util.swap import read_folder, recover, replace_folder, unfinished_folder

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
        raise RecrouteError(f"{path} exists and is no folder of recroute's (no {marker} in it); name another place")


def _mode(path: Path) -> int:
    """The permissions of the folder that is there, else those of one that everybody may read."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0o755
