"""Storage of a study: a journal file, or any database that Optuna supports."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import optuna
import sqlalchemy
from alembic.util import CommandError
from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from recroute.errors import DataError, RecrouteError, argument
from recroute.util.files import make_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

JOURNAL = "journal.log"
JOURNAL_START = b'{"op_code":'  # start of every line that Optuna writes
DAMAGE = (LookupError, ValueError, TypeError, AttributeError, AssertionError)  # raised by Optuna on damaged content
BUSY_SECONDS = 60  # that SQLite waits for another process to finish writing
TRIES = 10
RACE = ("already exists", "duplicate key", "no such table", 'relation "', "doesn't exist")  # tables being created
VERSIONS = "version_info"  # table that identifies an Optuna database
FAILURES = (SQLAlchemyError, OptunaError)  # of a database in use: locked, read-only, full, gone


class KernelLock:
    """File lock that the kernel releases when its process dies; Optuna's own lock files would remain.

    Acquiring the lock removes an incomplete last line left by a process that died. If an interrupt leaves the lock
    held, the same process can acquire it again (Optuna synchronises its own threads).
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._held: IO[bytes] | None = None

    def acquire(self) -> bool:
        self.release()
        self._held = open(f"{self._path}.lock", "ab")  # noqa: SIM115  stays open until it is released
        fcntl.flock(self._held, fcntl.LOCK_EX)
        _cut_torn_line(self._path)
        return True

    def release(self) -> None:
        if self._held is not None:
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
    """Whether a path is a regular file with the start of an Optuna journal; an empty file counts as one."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(len(JOURNAL_START))
    return start == JOURNAL_START[: len(start)]


def _open_journal(path: Path) -> JournalStorage:
    make_folder(path.parent)
    if os.path.lexists(path) and not is_journal(path):  # opening it would remove its last line
        raise DataError(f"{path} is not the journal of a study; name another {argument('out')}")
    lock = KernelLock(str(path)) if fcntl else JournalFileOpenLock(str(path))
    try:
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))  # type: ignore[arg-type]
    except DAMAGE as error:
        raise DataError(
            f"{path} is damaged ({type(error).__name__}: {error}); restore it from a backup, or name "
            f"another {argument('out')}"
        ) from None


def open_storage(url: str | None, journal: Path) -> BaseStorage:
    """Open the storage at `url`, or else the journal file, which is created if missing.

    Raises
    ------
    DataError
        If it cannot be opened, is damaged, or is something else.
    """
    if url is None:
        return _open_journal(journal)
    address = read_url(url)
    for _ in range(TRIES):
        try:
            return _open_database(url, address)
        except ImportError as error:
            missing = error.__cause__ or error
            raise DataError(f"{_named(url)} needs a database driver: {missing}; pip install it") from None
        except RecrouteError:
            raise
        except (*FAILURES, CommandError, RuntimeError, OSError, *DAMAGE) as error:
            message = _first_line(error).replace("$STORAGE_URL", without_password(url))
            if not any(words in message for words in RACE):
                break
            time.sleep(0.5)
    raise DataError(f"{_named(url)} cannot be opened: {message}; repair it, or name another storage")


def read_url(url: str) -> URL:
    """Parse a database URL; DataError if it is not one."""
    try:
        address = make_url(url)
        address.get_dialect()
    except (SQLAlchemyError, ValueError):
        raise DataError(
            f"{_named(url)} is not the URL of a supported database; write it like "
            "sqlite:///study.db or postgresql+psycopg://user@host/name"
        ) from None
    return address


def is_in_memory(address: URL) -> bool:
    """Whether a database lives in the memory of this process."""
    name = address.database or ":memory:"
    return address.get_backend_name() == "sqlite" and (":memory:" in name or address.query.get("mode") == "memory")


def _open_database(url: str, address: URL) -> BaseStorage:
    options: dict[str, Any] = {"pool_pre_ping": True}
    if address.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": BUSY_SECONDS}
        if not is_in_memory(address):
            options["poolclass"] = NullPool  # a pool would stay open where Optuna refuses the file
    tables = [] if is_in_memory(address) else _tables(address, options)
    if tables and VERSIONS not in tables and address.get_backend_name() == "sqlite":
        listed = ", ".join(sorted(tables)[:3])
        raise DataError(f"{_named(url)} is not an Optuna database (it has tables {listed}); name another file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return optuna.storages.RDBStorage(
            url.replace("{", "{{").replace("}", "}}"),  # Optuna would fill in braces
            engine_kwargs=options,
            skip_table_creation=VERSIONS in tables,  # do not alter those of another version
        )


def _tables(address: URL, options: dict[str, Any]) -> list[str]:
    engine = sqlalchemy.create_engine(address, **options)
    try:
        return sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()


@contextmanager
def storage_at(url: str | None, journal: Path) -> Iterator[BaseStorage]:
    """Open the storage, and close the database connections at the end.

    Raises
    ------
    DataError
        As `open_storage`, and if the storage fails while it is in use.
    """
    storage = open_storage(url, journal)
    try:
        yield storage
    except FAILURES as error:
        raise _failed(_named(url) if url else str(journal), _first_line(error)) from None
    except OSError as error:
        if url or error.filename is not None:
            raise
        raise _failed(str(journal), error.strerror) from None  # such as a full disk
    finally:
        database = getattr(storage, "_backend", storage)  # Optuna wraps it in a cache
        if isinstance(database, optuna.storages.RDBStorage):
            database.remove_session()
            database.engine.dispose()


def _failed(place: str, reason: str | None) -> DataError:
    return DataError(f"{place} failed: {reason}; finished trials are kept: run the same command again when it works")


@contextmanager
def damage_named(place: str) -> Iterator[None]:
    """Convert the errors that Optuna raises on damaged content to a DataError that names the place."""
    try:
        yield
    except RecrouteError:
        raise
    except DAMAGE as error:
        raise DataError(
            f"the study in {place} is damaged ({type(error).__name__}: {error}); restore it from a backup, or name "
            "another study"
        ) from None


def _named(url: str) -> str:
    return argument("storage", without_password(url))


def without_password(url: str) -> str:
    """URL without its password."""
    head, at, tail = url.rpartition("@")
    scheme, sep, user = head.partition("://")
    return f"{scheme}{sep}{user.split(':')[0]}{at}{tail}" if at else url


def _first_line(error: BaseException) -> str:
    """First line of the database's own message, without that of the wrapping exceptions."""
    if isinstance(error, OptunaError) and error.__cause__ is not None:
        error = error.__cause__
    return str(getattr(error, "orig", None) or error).strip().split("\n")[0]
