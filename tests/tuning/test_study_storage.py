"""What a study can be kept in, and one line about what it cannot."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

import recroute as rr
from recroute.data import Dataset
from recroute.errors import DataError
from recroute.tuning.storage import KernelLock, damage_named, open_storage, storage_at

NOWHERE = Path("nowhere.log")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a database with a study of two trials."""
    path = tmp_path_factory.mktemp("made") / "study.db"
    with storage_at(f"sqlite:///{path}", NOWHERE) as storage:
        study = optuna.create_study(storage=storage, study_name="s", direction="maximize")
        for _ in range(2):
            trial = study.ask()
            trial.report(trial.suggest_float("x", 0, 1), 0)
            study.tell(trial, 0.5)
    return path.read_bytes()


@pytest.fixture
def database(tmp_path: Path, made: bytes) -> Path:
    path = tmp_path / "study.db"
    path.write_bytes(made)
    return path


def read_all(path: Path) -> None:
    url = f"sqlite:///{path}"
    with storage_at(url, NOWHERE) as storage, damage_named(url):
        study = optuna.load_study(storage=storage, study_name="s")
        assert len(study.trials) == 2
        assert study.directions


@pytest.fixture
def sql(database: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(database, isolation_level=None)
    yield connection
    connection.close()


def tables(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    found = sorted(row[0] for row in connection.execute("select name from sqlite_master where type = 'table'"))
    connection.close()
    return found


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "update alembic_version set version_num = 'v2.6.0.a'",
            "optuna storage upgrade --storage sqlite:///.*study.db",
        ),
        ("update alembic_version set version_num = 'v99.0.0.a'", "pip install -U optuna"),
        ("insert into alembic_version values ('v1.3.0.a')", "cannot be opened"),
        ("drop table trial_values", "no such table: trial_values"),
        ("update trials set state = 'DONE' where number = 1", "is damaged .*DONE"),
        ("update trials set datetime_start = 'yesterday'", "is damaged .*yesterday"),
        ("update trial_params set distribution_json = '{}'", "is damaged"),
    ],
)
def test_a_database_of_another_version_or_a_damaged_one(
    database: Path, sql: sqlite3.Connection, statement: str, message: str
) -> None:
    sql.execute(statement)
    with pytest.raises(DataError, match=message) as refusal:
        read_all(database)
    assert str(database) in str(refusal.value)


def test_a_database_of_another_version_is_left_as_it_is(database: Path, sql: sqlite3.Connection) -> None:
    sql.execute("update alembic_version set version_num = 'v2.6.0.a'")
    sql.execute("drop table trial_heartbeats")  # what that version had not
    before = tables(database)
    with pytest.raises(DataError):
        open_storage(f"sqlite:///{database}", NOWHERE)
    assert tables(database) == before


def test_a_database_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    connection = sqlite3.connect(path)
    connection.execute("create table users (name)")
    connection.close()
    with pytest.raises(DataError, match=r"app\.db' is not an Optuna database \(it has tables users\); name another"):
        open_storage(f"sqlite:///{path}", NOWHERE)
    assert tables(path) == ["users"]


@pytest.mark.parametrize("cut", [0.5, 0.9])
def test_half_a_database_is_refused(tmp_path: Path, made: bytes, cut: float) -> None:
    path = tmp_path / "half.db"
    path.write_bytes(made[: int(cut * len(made))])
    with pytest.raises(DataError, match=r"half\.db' cannot be opened: .*malformed"):
        read_all(path)


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("not a database at all, and long enough to be read as one" * 20, "utf8")
    with pytest.raises(DataError, match=r"notes\.db' cannot be opened: file is not a database"):
        open_storage(f"sqlite:///{path}", NOWHERE)
    assert path.read_text("utf8").startswith("not a database")


def test_a_locked_database_is_waited_for_and_then_named(
    database: Path, sql: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recroute.tuning.storage.BUSY_SECONDS", 0.05)
    url = f"sqlite:///{database}"
    sql.execute("begin exclusive")
    with pytest.raises(DataError, match="cannot be opened: database is locked"):
        open_storage(url, NOWHERE)
    sql.execute("commit")

    def write_while_it_is_locked() -> None:
        with storage_at(url, NOWHERE) as storage:
            study = optuna.load_study(storage=storage, study_name="s")
            sql.execute("begin exclusive")
            study.set_user_attr("key", "value")

    with pytest.raises(DataError, match="failed: database is locked; finished trials are kept"):
        write_while_it_is_locked()
    sql.execute("commit")
    read_all(database)


def test_a_database_that_may_only_be_read(database: Path) -> None:
    def write() -> None:
        with storage_at(f"sqlite:///file:{database}?mode=ro&uri=true", NOWHERE) as storage:
            optuna.create_study(storage=storage, study_name="other")

    with pytest.raises(DataError, match="failed: attempt to write a readonly database"):
        write()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "is not the URL of a supported database; write it like sqlite:///study.db"),
        ("", "is not the URL"),
        ("sqlite:/study.db", "is not the URL"),
        ("postgres://me:secret@host/x", "is not the URL"),
        ("postgresql://me:secret@host:port/x", "is not the URL"),
        ("redis://127.0.0.1", "is not the URL"),
        ("mysql+no_such_driver://me:secret@host/x", "is not the URL|needs a database driver"),
        ("sqlite:///{folder}/no/such/folder.db", "unable to open database file"),
        ("sqlite:///{folder}", "unable to open database file"),
        ("sqlite:///{folder}/a.db?timeout=soon", "could not convert"),
        ("sqlite:///{folder}/a\0b.db", "null"),
    ],
)
def test_an_address_that_leads_nowhere_is_named(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as refusal:
        open_storage(url.replace("{folder}", str(tmp_path)), NOWHERE)
    assert str(refusal.value).startswith("storage='")
    assert "secret" not in str(refusal.value)


def test_a_lock_that_an_interrupt_left_held_is_taken_again(tmp_path: Path) -> None:
    lock = KernelLock(str(tmp_path / "journal.log"))

    def acquire_twice() -> None:
        for _ in range(2):  # the first as by a call that was interrupted before it could release it
            lock.acquire()

    thread = threading.Thread(target=acquire_twice, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    lock.release()
    other = KernelLock(str(tmp_path / "journal.log"))
    assert other.acquire()
    other.release()


def test_brackets_in_a_file_name_are_part_of_it(tmp_path: Path) -> None:
    with storage_at(f"sqlite:///{tmp_path}/{{a}}.db", NOWHERE) as storage:
        optuna.create_study(storage=storage)
    assert (tmp_path / "{a}.db").is_file()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_what_is_in_the_memory_of_one_process_cannot_be_shared(
    tmp_path: Path, noisy: Dataset, small: dict[str, Any], url: str
) -> None:
    with pytest.raises(DataError, match="in memory and cannot be shared by 2 processes; use n_jobs=1"):
        rr.tune(noisy, tmp_path / "study", n_trials=2, n_jobs=2, storage=url, **small)
    assert not (tmp_path / "study").exists()


def test_one_process_may_keep_a_study_in_memory(tmp_path: Path, noisy: Dataset, small: dict[str, Any]) -> None:
    assert rr.tune(noisy, tmp_path / "study", n_trials=2, storage="sqlite://", **small).complete
