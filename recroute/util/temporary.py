"""Temporary files and folders that are locked while their process lives, so that the next one can remove what is left.

A killed process removes nothing, but the kernel takes back its locks.
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

CUT = 40  # characters of a name that its temporary name keeps: a name has at most 255 bytes


@contextmanager
def temporary_file(target: Path) -> Iterator[Path]:
    """An empty file beside `target`; removed when the block ends, unless it was renamed.

    Those of `target` whose processes have died are removed first.
    """
    prefix = f".{target.name[:CUT]}.new-"
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
    """A file or folder that `make` has made, and what `lock` gives for it."""
    while True:
        path = make()
        with suppress(BlockingIOError):  # another writer takes it for one that was left, because it was not locked yet
            handle = lock(path)
            if path.exists():
                return path, handle


def lock(path: Path) -> int | None:
    """A handle that locks a file or folder until closed; BlockingIOError if another has it.

    None where there are no locks: there, what is left is not told from what is being written, and stays.
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
    with suppress(PermissionError):  # a folder may be written to and not be listed
        left = [folder / name for name in os.listdir(folder) if name.startswith(prefix)]
    for path in left:
        with suppress(OSError):  # its writer is at work; or it is no file
            if (handle := lock(path)) is not None:
                path.unlink(missing_ok=True)
                os.close(handle)
