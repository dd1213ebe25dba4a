"""Trials that run out of memory, workers that die, and a parent that dies before them."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

import recroute as rr
from recroute.data import Dataset, write_dataset
from recroute.errors import RouterError
from recroute.routers import Router
from recroute.tuning import read_space
from recroute.tuning.parallel import _raise_failure
from recroute.tuning.recovery import DIED, MAX_DEATHS, STOPPED, requeue
from recroute.tuning.settings import TuneSettings
from recroute.tuning.space import Space
from recroute.tuning.storage import open_storage
from recroute.tuning.study import open_study
from recroute.tuning.trials import ERROR, LOST, WORKER, is_finished, trial_table
from recroute.tuning.validation import Validation
from recroute.tuning.worker import Job, work
from recroute.util import memo
from recroute.util.memo import Memo


def new_study(folder: Path, space: Space) -> optuna.Study:
    return open_study(open_storage(None, folder / "journal.log"), "s", ["mean_score"], space, {"data": "x"})


class Short(Validation):
    """Has no memory for one router."""

    def values(self, router: Router, fold: int) -> tuple[float, ...]:
        if router.name == "ridge":
            raise MemoryError("Unable to allocate 9. TiB")
        return super().values(router, fold)


class ShortOnce(Validation):
    """Has no memory until what memos keep is given back."""

    kept = Memo(lambda _: 1, max_cells=100)

    def values(self, router: Router, fold: int) -> tuple[float, ...]:
        if self.kept._kept:
            raise MemoryError
        return super().values(router, fold)


def test_a_trial_without_memory_is_a_finding(tmp_path: Path, space: Space, validation: Validation) -> None:
    study = new_study(tmp_path, space)
    work(study, Job(space, Short(**vars(validation)), TuneSettings(n_trials=5)))
    table = trial_table(study)
    assert table.height == 5
    assert table.filter(pipeline="ridge")["outcome"].item() == "not enough memory: Unable to allocate 9. TiB"
    assert table.filter(state="complete").height > 0


def test_what_was_kept_makes_room(tmp_path: Path, space: Space, validation: Validation) -> None:
    with memo.room(1):
        ShortOnce.kept(validation.folds[0].train.interactions.dense()[:3, :3])
    assert ShortOnce.kept._kept
    study = new_study(tmp_path, space)
    work(study, Job(space, ShortOnce(**vars(validation)), TuneSettings(n_trials=2)))
    assert trial_table(study)["state"].to_list() == ["complete", "complete"]


def test_parameters_that_worker_after_worker_dies_of_are_given_up(tmp_path: Path) -> None:
    space = read_space(["knn"])  # whose default is all that waits
    study = new_study(tmp_path, space)
    for why in (STOPPED, *[DIED] * MAX_DEATHS):
        assert not any(map(is_finished, study.trials))
        trial = study.ask()
        assert space.suggest(trial).label == "knn"
        requeue(study, study.trials[trial.number], why)
    assert [trial.user_attrs.get(LOST) for trial in study.trials] == [STOPPED, *[DIED] * (MAX_DEATHS - 1), None]
    assert "died while running it" in study.trials[-1].user_attrs[ERROR]
    assert is_finished(study.trials[-1])


@pytest.mark.parametrize(
    ("codes", "errors", "kind", "message"),
    [
        ([-9, -9], ["", ""], RouterError, r"exit codes \[-9, -9\]; -9 often means out of memory.*run the same command"),
        ([0, 1], ["", "Traceback\nMemoryError"], RouterError, "fewer n_jobs"),
        ([2, 0], ["--storage x failed: it is locked\n", ""], RouterError, "^--storage x failed: it is locked$"),
        ([130, 1], ["", "Traceback\nZeroDivisionError: boom"], RuntimeError, "ZeroDivisionError: boom"),
    ],
)
def test_why_workers_ended_early_is_said(
    codes: list[int], errors: list[str], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        _raise_failure(codes, errors)


def workers_of(folder: Path) -> set[int]:
    """The processes that have trials of a study."""
    journal = folder / "journal.log"
    if not journal.exists():
        return set()
    storage = open_storage(None, journal)
    names = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=names[0], storage=storage).trials if names else []
    return {trial.user_attrs[WORKER]["pid"] for trial in trials if WORKER in trial.user_attrs}


def test_what_a_killed_worker_leaves_is_done_by_the_other(
    tmp_path: Path, noisy: Dataset, small: dict[str, Any]
) -> None:
    killed: list[int] = []

    def kill(*_: object) -> None:
        if not killed and (found := workers_of(tmp_path / "study")):
            killed.append(found.pop())
            os.kill(killed[0], signal.SIGKILL)

    found = rr.tune(noisy, tmp_path / "study", n_trials=30, n_jobs=2, progress=kill, **small)
    assert found.complete
    assert found.trials["number"].to_list() == list(range(30))
    assert killed


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent_and_keep_what_was_finished(tmp_path: Path, noisy: Dataset, number: int) -> None:
    write_dataset(noisy, tmp_path / "data")
    command = [sys.executable, "-c", "from recroute.cli import main; main()", "tune", str(tmp_path / "data")]
    command += ["--out", str(tmp_path / "study"), "--router", "knn", "--router", "ridge", "--pool-sizes", "3"]
    command += ["--groups", "nested", "--folds", "3", "--trials", "4000", "--jobs", "2"]
    parent = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    timer = threading.Timer(120, parent.kill)
    timer.start()
    while parent.poll() is None and len(workers_of(tmp_path / "study")) < 2:
        time.sleep(0.1)
    parent.send_signal(number)
    assert parent.wait() == (128 + number if number == signal.SIGTERM else -number)
    timer.cancel()
    workers = workers_of(tmp_path / "study")
    assert len(workers) == 2
    until = time.time() + 120
    while any(map(_lives, workers)) and time.time() < until:
        time.sleep(0.1)
    assert not any(map(_lives, workers))
    trials = optuna.load_study(
        study_name="study", storage=open_storage(None, tmp_path / "study" / "journal.log")
    ).trials
    assert TrialState.RUNNING not in {trial.state for trial in trials}


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
