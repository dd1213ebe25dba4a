"""Folders and files that are either the old ones or the new ones, never half of each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recroute.data.swap import read_folder, recover, replace_folder, unfinished_folder
from recroute.errors import RecrouteError


@contextmanager
def new_folder(path: Path, marker: str) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends without an error.

    An existing folder is replaced only if it holds the file `marker`, so that nothing foreign is lost. Several writers
    may be at work at the same place: each replaces the whole folder, and the last one's stays.
    """
    check_new_folder(path, marker)
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    with unfinished_folder(path) as temporary:
        yield temporary
        temporary.chmod(0o755)  # mkdtemp's 0700 would hide a shared result from its readers
        check_new_folder(path, marker)
        replace_folder(temporary, path)


def check_new_folder(path: Path, marker: str) -> None:
    """Refuse a place that `new_folder` could not take, before the work is done."""
    recover(path)
    read_folder(path, lambda place: _check_ours(place, path, marker))


def _check_ours(place: Path, path: Path, marker: str) -> None:
    try:
        names = os.listdir(place)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        names = [path.name]
    if names and marker not in names:
        raise RecrouteError(f"{path} exists and is no folder of recroute's (no {marker} in it); name another place")


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.new"
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
