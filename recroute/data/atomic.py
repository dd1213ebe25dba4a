"""Folders and files that are either the old ones or the new ones, never half of each."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recroute.errors import RecrouteError


@contextmanager
def new_folder(path: Path, marker: str) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends without an error.

    An existing folder is replaced only if it holds the file `marker`, so that nothing foreign is lost. A crash
    between the two renames leaves the old folder under a name that `recover` knows.
    """
    check_new_folder(path, marker)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.new-", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)  # mkdtemp's 0700 would hide a shared result from its readers
        if path.exists():
            path.rename(_previous(path))
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        recover(path)


def check_new_folder(path: Path, marker: str) -> None:
    """Refuse a place that `new_folder` could not take, before the work is done."""
    recover(path)
    if path.exists() and not (path / marker).exists() and (not path.is_dir() or any(path.iterdir())):
        raise RecrouteError(f"{path} exists and is no folder of recroute's (no {marker} in it); name another place")


def recover(path: Path) -> None:
    """Finish what was left between two names: put the old folder back, or remove it if the new one is in its place."""
    previous = _previous(path)
    if previous.exists() and path.exists():
        shutil.rmtree(previous, ignore_errors=True)
    elif previous.exists():
        previous.rename(path)


def _previous(path: Path) -> Path:
    return path.parent / f".{path.name}.previous"


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
