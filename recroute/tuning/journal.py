"""A study in a file: Optuna's journal, with a lock that no dead process keeps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from recroute.errors import DataError
from recroute.util.files import make_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

JOURNAL = "journal.log"
BEGINNING = b'{"op_code":'  # of every line that Optuna writes
DAMAGE = (LookupError, ValueError, TypeError, AttributeError, AssertionError)  # Optuna reads back without a check


class KernelLock:
    """A lock that the kernel takes back when its process dies, however it dies; Optuna's own are files that stay.

    Whoever gets it also cuts off what a process that died while writing has left of its last line.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._held: IO[bytes] | None = None

    def acquire(self) -> bool:
        held = open(f"{self._path}.lock", "ab")  # noqa: SIM115  stays open until it is released
        fcntl.flock(held, fcntl.LOCK_EX)
        self._held = held
        _cut_torn_line(self._path)
        return True

    def release(self) -> None:
        assert self._held is not None
        self._held.close()
        self._held = None


def _cut_torn_line(path: str) -> None:
    if not os.path.exists(path):
        return
    with open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0 or (file.seek(size - 1), file.read(1))[1] == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def is_journal(path: Path) -> bool:
    """Whether a file is a journal of Optuna's, perhaps one that was just begun; a pipe or a device is none."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        beginning = file.read(len(BEGINNING))
    return beginning == BEGINNING[: len(beginning)]


def open_journal(path: Path) -> JournalStorage:
    """The storage in a journal file, which is made if there is none.

    Raises
    ------
    DataError
        If the file is no journal, or a damaged one.
    """
    make_folder(path.parent)
    if os.path.lexists(path) and not is_journal(path):  # what reads it would cut off its last line
        raise DataError(f"{path} is no journal of a study; name another --out")
    lock = KernelLock(str(path)) if fcntl else JournalFileOpenLock(str(path))
    try:
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))  # type: ignore[arg-type]
    except DAMAGE as error:
        raise DataError(
            f"{path} is damaged ({type(error).__name__}: {error}); put back a copy of it, or name another --out"
        ) from None
