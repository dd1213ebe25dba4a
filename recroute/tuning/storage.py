"""Where a study is kept: a journal file, or any storage that Optuna knows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from alembic.util import CommandError
from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from recroute.errors import DataError, RecrouteError
from recroute.tuning.journal import DAMAGE, open_journal

BUSY_SECONDS = 60  # that SQLite waits for another process to finish writing
TRIES = 10
RACE = ("already exists", "duplicate key", "no such table", 'relation "', "doesn't exist")  # tables are being made
VERSIONS = "version_info"  # the table that a database of Optuna's is known by
FAILURES = (SQLAlchemyError, OptunaError)  # of a database in use: locked, read-only, full, gone


def open_storage(url: str | None, journal: Path) -> BaseStorage:
    """The storage at `url`, or the journal file.

    Raises
    ------
    DataError
        If it cannot be opened, is damaged, or holds something else.
    """
    if url is None:
        return open_journal(journal)
    address = read_url(url)
    for _ in range(TRIES):
        try:
            return _open_database(url, address)
        except ImportError as error:
            missing = error.__cause__ or error
            raise DataError(f"--storage {shown(url)} needs a database driver: {missing}; pip install it") from None
        except RecrouteError:
            raise
        except (*FAILURES, CommandError, RuntimeError, OSError, *DAMAGE) as error:
            said = _first_line(error).replace("$STORAGE_URL", shown(url))
            if not any(word in said for word in RACE):
                break
            time.sleep(0.5)
    raise DataError(f"--storage {shown(url)} cannot be opened: {said}; mend it, or name another")


def read_url(url: str) -> URL:
    """The parts of a database's URL; DataError if it is none."""
    try:
        address = make_url(url)
        address.get_dialect()
    except (SQLAlchemyError, ValueError):
        raise DataError(
            f"--storage {shown(url)} cannot be opened: it is not the URL of a database that is known; write it like "
            "sqlite:///study.db or postgresql+psycopg://user@host/name"
        ) from None
    return address


def is_in_memory(address: URL) -> bool:
    """Whether a database is one that no other process sees."""
    name = address.database or ":memory:"
    return address.get_backend_name() == "sqlite" and (":memory:" in name or address.query.get("mode") == "memory")


def _open_database(url: str, address: URL) -> BaseStorage:
    options: dict[str, Any] = {"pool_pre_ping": True}
    if address.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": BUSY_SECONDS}
    tables = [] if is_in_memory(address) else _tables(address, options)
    if tables and VERSIONS not in tables and address.get_backend_name() == "sqlite":
        listed = ", ".join(sorted(tables)[:3])
        raise DataError(f"--storage {shown(url)} is a database of something else (tables {listed}); name another file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return optuna.storages.RDBStorage(
            url.replace("{", "{{").replace("}", "}}"),  # Optuna fills in templates
            engine_kwargs=options,
            skip_table_creation=VERSIONS in tables,  # those of another version stay as they are
        )


def _tables(address: URL, options: dict[str, Any]) -> list[str]:
    engine = sqlalchemy.create_engine(address, **options)
    try:
        return sqlalchemy.inspect(engine).get_table_names()
    finally:
        engine.dispose()


@contextmanager
def storage_at(url: str | None, journal: Path) -> Iterator[BaseStorage]:
    """`open_storage`, with a database's connections given back in the end.

    Raises
    ------
    DataError
        As `open_storage`, and if the storage fails while it is in use.
    """
    storage = open_storage(url, journal)
    try:
        yield storage
    except FAILURES as error:
        raise _failed(f"--storage {shown(url)}" if url else str(journal), _first_line(error)) from None
    except OSError as error:
        if url or error.filename is not None:
            raise
        raise _failed(str(journal), error.strerror) from None  # what a full disk answers to writing
    finally:
        database = getattr(storage, "_backend", storage)  # Optuna puts a cache around it
        if isinstance(database, optuna.storages.RDBStorage):
            database.remove_session()
            database.engine.dispose()


def _failed(place: str, why: str | None) -> DataError:
    return DataError(f"{place} failed: {why}; what was finished is kept: run the same command again when it works")


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Raise DataError where what Optuna reads back is not what it wrote."""
    try:
        yield
    except RecrouteError:
        raise
    except DAMAGE as error:
        raise DataError(
            f"the study in {place} is damaged ({type(error).__name__}: {error}); put back a copy, or name another study"
        ) from None


def shown(url: str) -> str:
    """The URL without its password."""
    head, at, tail = url.rpartition("@")
    scheme, sep, user = head.partition("://")
    return f"{scheme}{sep}{user.split(':')[0]}{at}{tail}" if at else url


def _first_line(error: BaseException) -> str:
    """What the database said, without the words that were put around it."""
    if isinstance(error, OptunaError) and error.__cause__ is not None:
        error = error.__cause__
    return str(getattr(error, "orig", None) or error).strip().split("\n")[0]
