"""Where a study is kept: a journal file, or any storage that Optuna knows."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import optuna
from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy.exc import SQLAlchemyError

from recroute.errors import DataError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

BUSY_SECONDS = 60  # that SQLite waits for another process to finish writing
TRIES, RACE = 10, ("already exists", "duplicate key")


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


def open_storage(url: str | None, journal: Path) -> BaseStorage:
    """The storage at `url`, or the journal file.

    Raises
    ------
    DataError
        If it cannot be opened.
    """
    if url is None:
        journal.parent.mkdir(parents=True, exist_ok=True)
        lock = KernelLock(str(journal)) if fcntl else JournalFileOpenLock(str(journal))
        return JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))  # type: ignore[arg-type]
    for _ in range(TRIES):
        try:
            return _open_database(url)
        except ImportError as error:
            raise DataError(f"--storage {shown(url)} needs a database driver: {error}; pip install it") from None
        except (SQLAlchemyError, OptunaError) as error:
            said = _first_line(error)
            if not any(word in said for word in RACE):
                break
            time.sleep(0.5)  # another process was making the tables in the same moment
    raise DataError(f"--storage {shown(url)} cannot be opened: {said}")


def _open_database(url: str) -> BaseStorage:
    options: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}} if url.startswith("sqlite") else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return optuna.storages.RDBStorage(url, engine_kwargs={"pool_pre_ping": True, **options})


@contextmanager
def storage_at(url: str | None, journal: Path) -> Iterator[BaseStorage]:
    """`open_storage`, with a database's connections given back in the end."""
    storage = open_storage(url, journal)
    try:
        yield storage
    finally:
        database = getattr(storage, "_backend", storage)  # Optuna puts a cache around it
        if isinstance(database, optuna.storages.RDBStorage):
            database.remove_session()
            database.engine.dispose()


def shown(url: str) -> str:
    """The URL without its password."""
    head, at, tail = url.rpartition("@")
    scheme, sep, user = head.partition("://")
    return f"{scheme}{sep}{user.split(':')[0]}{at}{tail}" if at else url


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().split("\n")[0]
