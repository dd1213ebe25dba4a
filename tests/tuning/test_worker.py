"""Trials beside workers that may die at any moment: every study gets its number of trials, each counted once."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState

from recroute.data import Dataset, Precomputed, write_dataset
from recroute.tuning import read_space
from recroute.tuning.recovery import DIED
from recroute.tuning.settings import TuneSettings
from recroute.tuning.space import Space
from recroute.tuning.storage import open_storage
from recroute.tuning.study import open_study
from recroute.tuning.trials import LOST, WORKER, is_finished, trial_table
from recroute.tuning.validation import Validation
from recroute.tuning.worker import Job, _ask, work


def new_study(folder: Path, space: Space, url: str | None = None) -> Study:
    return open_study(open_storage(url, folder / "journal.log"), "s", ["mean_score"], space, {"data": "x"})


def tried(study: Study) -> list[tuple[str, float | None, str]]:
    table = trial_table(study)
    return list(table.select("pipeline", "value", "state").iter_rows())


@pytest.mark.parametrize("database", [None, "sqlite"])
def test_a_study_that_was_stopped_goes_on_as_if_it_had_not_been(
    tmp_path: Path, space: Space, validation: Validation, database: str | None
) -> None:
    def url(name: str) -> str | None:
        return f"sqlite:///{tmp_path / name}.db" if database else None

    whole = new_study(tmp_path / "whole", space, url("whole"))
    work(whole, Job(space, validation, TuneSettings(n_trials=14, seed=3)))
    study = new_study(tmp_path / "parts", space, url("parts"))
    for n_trials in (1, 5, 9, 14):
        study = new_study(tmp_path / "parts", space, url("parts"))  # opened anew, as by a new process
        work(study, Job(space, validation, TuneSettings(n_trials=n_trials, seed=3)))
        assert len(tried(study)) == n_trials
    assert tried(study) == tried(whole)
    labels = [label for label, _, _ in tried(study)]
    assert labels[:2] == ["knn", "ridge"]
    assert len(set(labels)) > 4
    other = new_study(tmp_path / "other", space, url("other"))
    work(other, Job(space, validation, TuneSettings(n_trials=14, seed=4)))
    assert tried(other) != tried(whole)


def test_the_trial_of_a_dead_worker_is_taken_over_with_its_parameters(
    tmp_path: Path, space: Space, validation: Validation
) -> None:
    study = new_study(tmp_path, space)
    lost = study.ask()  # the default
    space.suggest(lost)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    lost.set_user_attr(WORKER, {"host": socket.gethostname(), "pid": gone.pid, "started": "1", "at": time.time()})
    second = study.ask()  # the second default, whose worker died before it asked for anything
    second.set_user_attr(WORKER, {"host": "far away", "pid": 1, "started": "1", "at": 0})  # and long silent
    work(study, Job(space, validation, TuneSettings(n_trials=4)))
    assert [study.trials[i].state for i in (0, 1)] == [TrialState.FAIL, TrialState.FAIL]
    assert all(study.trials[i].user_attrs[LOST] == DIED for i in (0, 1))
    finished = [trial for trial in study.trials if is_finished(trial)]
    assert len(finished) == 4
    assert {"knn", "ridge"} <= {label for label, _, _ in tried(study)}


def test_what_an_interrupted_call_of_this_process_left_is_taken_over(
    tmp_path: Path, space: Space, validation: Validation
) -> None:
    study = new_study(tmp_path, space)
    _ask(study, Job(space, validation, TuneSettings(n_trials=3)))  # as in a notebook whose cell was stopped
    work(study, Job(space, validation, TuneSettings(n_trials=3), until=time.time() + 60))
    assert sum(map(is_finished, study.trials)) == 3
    assert study.trials[0].state == TrialState.FAIL


def test_a_living_worker_is_left_alone(tmp_path: Path, space: Space, validation: Validation) -> None:
    study = new_study(tmp_path, space)
    running = study.ask()
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with open(f"/proc/{sleeper.pid}/stat", encoding="utf8") as file:
            started = file.read().rpartition(")")[2].split()[19]
        name = {"host": socket.gethostname(), "pid": sleeper.pid, "started": started, "at": time.time()}
        running.set_user_attr(WORKER, name)
        for _ in range(40):  # as long as a slow machine needs
            work(study, Job(space, validation, TuneSettings(n_trials=3), until=time.time() + 1))
            if sum(map(is_finished, study.trials)) >= 2:
                break
        assert study.trials[running.number].state == TrialState.RUNNING
        assert sum(map(is_finished, study.trials)) == 2  # the third place is the other worker's
    finally:
        sleeper.kill()
        sleeper.communicate()
    work(study, Job(space, validation, TuneSettings(n_trials=3)))
    assert sum(map(is_finished, study.trials)) == 3


def test_no_pipeline_is_judged_twice_while_there_are_others(
    tmp_path: Path, validation: Validation, planted: Dataset
) -> None:
    file = tmp_path / "space.toml"
    file.write_text(
        "[knn]\nn_neighbors = { low = 5, high = 16 }\n[every]\ncalibration = false\nviews = false\n",
        "utf8",
    )
    few = read_space(["knn"], file)  # twelve pipelines
    study = new_study(tmp_path / "study", few)
    work(study, Job(few, validation, TuneSettings(n_trials=12, prune=False)))
    labels = [label for label, _, _ in tried(study)]
    assert len(set(labels)) >= 11
    work(study, Job(few, validation, TuneSettings(n_trials=15, prune=False)))  # there are no fifteen
    assert len(study.trials) == len(tried(study)) == 15  # a draw that was thrown away is no trial
    values = dict[str, float | None]()
    for label, value, state in tried(study):
        assert state == ("repeat" if label in values else "complete")
        assert values.setdefault(label, value) == value
    table = trial_table(study)
    repeat = table.filter(state="repeat").row(0, named=True)
    assert repeat["outcome"].startswith("same pipeline as trial ")
    assert repeat["place"] > max(table.filter(state="complete")["place"])


def test_hyperparameters_that_the_data_do_not_take_are_a_finding(
    tmp_path: Path, validation: Validation, planted: Dataset
) -> None:
    file = tmp_path / "space.toml"
    views = 'views = { choices = ["tfidf", "all"] }'
    file.write_text(f"[knn]\n{views}\nn_neighbors = false\n[every]\ncalibration = false\n", "utf8")
    vectors = np.random.default_rng(0).normal(size=(planted.n_instances, 4)).astype(np.float32)
    tables = planted.instances.drop("prompt"), planted.llms
    no_prompts = Dataset("bare", planted.interactions, *tables, vectors, Precomputed("theirs"))
    judged = Validation.of(no_prompts, TuneSettings(pool_sizes=[3], groups=["nested"], n_folds=3))
    space = read_space(["knn"], file)
    study = new_study(tmp_path / "study", space)
    work(study, Job(space, judged, TuneSettings(n_trials=6)))
    table = trial_table(study)
    assert table.height == 6
    failed = table.filter(state="fail")
    assert failed.height > 0
    assert all("views=tfidf needs TF-IDF" in error for error in failed["error"])


def test_a_torn_last_line_is_cut_and_the_rest_is_kept(tmp_path: Path, space: Space, validation: Validation) -> None:
    study = new_study(tmp_path, space)
    work(study, Job(space, validation, TuneSettings(n_trials=3)))
    with (tmp_path / "journal.log").open("ab") as file:
        file.write(b'{"op_code": 5, "trial_id')  # what a power cut leaves
    again = optuna.load_study(study_name="s", storage=open_storage(None, tmp_path / "journal.log"))
    work(again, Job(space, validation, TuneSettings(n_trials=5)))
    assert tried(again)[:3] == tried(study)[:3]
    assert len(tried(again)) == 5


CHILD = """
import sys
import recroute as rr
rr.tune(rr.read_dataset(sys.argv[1]), sys.argv[2], routers=["knn", "ridge", "svd"], n_trials=int(sys.argv[3]),
        pool_sizes=[3], groups=["nested"], n_folds=3, prune=False, seed=5)
"""


def test_a_killed_search_loses_its_running_trial_only(tmp_path: Path, planted: Dataset) -> None:
    """Twenty kills, and those of a study in SQLite, are in tests/benchmarks."""
    write_dataset(planted, tmp_path / "data")
    command = [sys.executable, "-c", CHILD, str(tmp_path / "data"), str(tmp_path / "study")]
    seen: dict[int, tuple[object, ...]] = {}
    for enough in (2, 5):
        child = subprocess.Popen([*command, "400"], stderr=subprocess.PIPE)
        while child.poll() is None and len(_finished(tmp_path)) < enough:
            time.sleep(0.05)
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        seen |= _finished(tmp_path)
    assert 5 <= len(seen) < 400
    subprocess.run([*command, str(len(seen) + 2)], check=True)
    ended = _finished(tmp_path)
    assert len(ended) == len(seen) + 2
    assert {number: ended[number] for number in seen} == seen


def _finished(folder: Path) -> dict[int, tuple[object, ...]]:
    journal = folder / "study" / "journal.log"
    if not journal.exists():
        return {}
    storage = open_storage(None, journal)
    if not optuna.get_all_study_names(storage):
        return {}
    study = optuna.load_study(study_name="study", storage=storage)
    return {t.number: (t.params, t.values, t.user_attrs["label"]) for t in study.trials if is_finished(t)}
