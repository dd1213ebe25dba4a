"""Temporary files and folders, locked by the process that writes them.

A killed process cannot remove its files, but the system releases its locks. So the next process can tell leftovers,
which it removes, from files that are still being written.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

MAX_PREFIX = 40  # characters of the target's name in a temporary name; file names have at most 255 bytes


@contextmanager
def temporary_file(target: Path) -> Iterator[Path]:
    """Context manager: an empty file beside `target`, removed when the block ends unless it was renamed.

    Temporary files of `target` that killed processes left are removed first.
    """
    prefix = f".{target.name[:MAX_PREFIX]}.new-"
    _remove_left_over(target.parent, prefix)
    temporary, handle = locked(lambda: _touched(target.parent / f"{prefix}{secrets.token_hex(6)}"))
    try:
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
        if handle is not None:
            os.close(handle)


def locked(make: Callable[[], Path]) -> tuple[Path, int | None]:
    """Call `make` to make a file or folder, and lock it; returns its path and the handle of `lock`."""
    while True:
        path = make()
        with suppress(BlockingIOError):  # before it was locked, another writer took it for a leftover and removes it
            handle = lock(path)
            if path.exists():
                return path, handle


def lock(path: Path) -> int | None:
    """Lock a file or folder until the returned handle is closed; BlockingIOError if another process has locked it.

    None if the system or the file system has no locks. Leftovers cannot be recognised there, and are not removed.
    """
    if sys.platform == "win32":
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return handle


def _touched(path: Path) -> Path:
    path.touch(exist_ok=False)
    return path


def _remove_left_over(folder: Path, prefix: str) -> None:
    left: list[Path] = []
    with suppress(PermissionError):  # a folder may be writable but not readable
        left = [folder / name for name in os.listdir(folder) if name.startswith(prefix)]
    for path in left:
        with suppress(OSError):  # its writer is still working, or it is not a file
            if (handle := lock(path)) is not None:
                path.unlink(missing_ok=True)
                os.close(handle)
