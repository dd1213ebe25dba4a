"""A trial that takes longer than its limit is stopped in the middle of a fit and kept in the study."""

import pickle
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState

import recroute as rr
from recroute.data import Dataset
from recroute.errors import RouterError
from recroute.tuning.choice import choose
from recroute.tuning.limit import OverTimeError, time_limit, trial_limit
from recroute.tuning.parallel import COMMAND_LINE
from recroute.tuning.settings import MIN_LIMIT, TuneSettings
from recroute.tuning.space import Space
from recroute.tuning.storage import open_storage
from recroute.tuning.study import open_study
from recroute.tuning.trials import LIMIT, SECONDS, n_finished, trial_table, unfinished
from recroute.tuning.validation import Validation
from recroute.tuning.worker import Job, work


@dataclass(frozen=True)
class Endless(Validation):
    """Validation in which a fit of `ridge` never ends from a fold on, and whose library swallows exceptions."""

    endless_from: int = 1

    def values(self, router: rr.Router, fold: int) -> tuple[float, ...]:
        if router.label.startswith("ridge") and fold >= self.endless_from:
            signal.setitimer(signal.ITIMER_REAL, 0.01, 1.0)  # the time is over, on any machine
            while True:
                with suppress(Exception):
                    sum(range(1000))
        return super().values(router, fold)


def endless(validation: Validation, fold: int, metrics: tuple[str, ...]) -> Endless:
    return Endless(validation.folds, validation.pools, tuple(metrics), fold)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs SIGALRM")
@pytest.mark.parametrize(("metrics", "fold"), [(["mean_score"], 1), (["mean_score"], 0), (["mean_score", "brier"], 1)])
def test_an_endless_fit_is_stopped_and_the_study_goes_on(
    tmp_path: Path, space: Space, validation: Validation, metrics: list[str], fold: int
) -> None:
    settings = TuneSettings(n_trials=4, metrics=metrics, trial_timeout=600, prune=False)
    storage = open_storage(None, tmp_path / "journal.log")
    study = open_study(storage, "s", metrics, space, {"data": "x"})
    work(study, Job(space, endless(validation, fold, metrics), settings))
    table = trial_table(study)
    assert table.height == 4
    row = table.row(1, named=True)  # the default of ridge
    assert (row["state"], row["value"], row["n_folds"]) == ("pruned", None, fold)
    assert row["outcome"] == f"stopped after {fold} of 3 folds (time limit of 600.0 s)"
    reported = list(study.trials[1].intermediate_values.values())
    assert study.trials[1].values == (reported[-1:] or None)
    assert open_study(storage, "s", metrics, space, {"data": "x"}).trials[1].user_attrs[LIMIT] == 600  # is resumed


class Clock:
    """Clock of a search, which is over when a fit has begun that never ends."""

    perf_counter = staticmethod(time.perf_counter)

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs SIGALRM")
@pytest.mark.parametrize("metrics", [["mean_score"], ["mean_score", "brier"]])
def test_the_end_of_the_search_stops_a_fit_and_a_resumed_study_goes_on_after_its_last_fold(
    tmp_path: Path, space: Space, validation: Validation, metrics: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = TuneSettings(n_trials=6, metrics=metrics, prune=False)
    judged: list[tuple[str, int]] = []

    class Watched(Validation):
        def values(self, router: rr.Router, fold: int) -> tuple[float, ...]:
            judged.append((router.label, fold))
            return super().values(router, fold)

    def new_study(name: str) -> Study:
        return open_study(open_storage(None, tmp_path / name), "s", metrics, space, {"data": "x"})

    study, clock = new_study("journal.log"), Clock()
    monkeypatch.setattr("recroute.tuning.worker.time", clock)
    work(study, Job(space, endless(validation, 1, tuple(metrics)), settings, until=600))
    assert clock.now >= 600
    assert n_finished(study) == 1
    row = trial_table(study).row(1, named=True)  # the default of ridge
    assert (row["state"], row["n_folds"]) == ("pruned", 1)
    assert row["outcome"] == "stopped after 1 of 3 folds (time limit of 600.0 s)"
    assert choose(study, "knn")[0].label == "knn"

    again = new_study("journal.log")  # its trials are accepted
    work(again, Job(space, Watched(validation.folds, validation.pools, tuple(metrics)), settings))
    assert [fold for label, fold in judged if label == "ridge"] == [1, 2]
    whole = new_study("whole.log")
    work(whole, Job(space, Validation(validation.folds, validation.pools, tuple(metrics)), settings))
    assert not unfinished(again)
    shown = [trial_table(one).drop("seconds", "optuna_number") for one in (again, whole)]
    assert shown[0].equals(shown[1])


@pytest.fixture
def endless_last_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    """`tune` with a ridge whose last fold of three never ends, on a clock that is over once it began."""

    def of(data: Dataset, settings: TuneSettings) -> Validation:
        return endless(Validation.of(data, settings), 2, ("mean_score",))

    monkeypatch.setattr("recroute.tuning.search.Validation", SimpleNamespace(of=of))
    monkeypatch.setattr("recroute.tuning.parallel.time", clock := Clock())
    monkeypatch.setattr("recroute.tuning.worker.time", clock)


@pytest.mark.usefixtures("endless_last_fold")
@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs SIGALRM")
def test_a_line_says_that_a_trial_was_stopped(tmp_path: Path, noisy: Dataset, small: dict[str, Any]) -> None:
    tuned = rr.tune(noisy, tmp_path / "study", n_trials=9, timeout=60, **small)
    assert tuned.complete
    assert tuned.trials["outcome"].to_list()[1] == "stopped after 2 of 3 folds (time limit of 60.0 s)"
    assert tuned.notes[-1] == (
        "the time limit ended the search after 1 of 9 trials and stopped one in progress; the same command with a "
        "longer limit resumes the search"
    )


@pytest.mark.usefixtures("endless_last_fold")
@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="needs SIGALRM")
def test_a_search_that_ends_within_its_first_trial_says_how_far_it_came(
    tmp_path: Path, noisy: Dataset, small: dict[str, Any]
) -> None:
    message = "ridge was stopped after 2 folds; the same command with a longer timeout resumes it"
    with pytest.raises(RouterError, match=message):
        rr.tune(noisy, tmp_path / "study", n_trials=9, timeout=60, **{**small, "routers": ["ridge"]})


def test_a_study_of_stopped_trials_only_has_no_choice(tmp_path: Path, space: Space, validation: Validation) -> None:
    study = open_study(open_storage(None, tmp_path / "journal.log"), "s", ["mean_score"], space, {"data": "x"})
    work(study, Job(space, validation, TuneSettings(n_trials=2, trial_timeout=0)))
    assert trial_table(study)["state"].to_list() == ["pruned", "pruned"]
    with pytest.raises(RouterError, match=r"its time limit of 0\.0 s; .* with a longer trial_timeout"):
        choose(study, "knn")


def test_the_limit_is_a_multiple_of_the_median_once_there_are_trials_to_compare_with() -> None:
    study = optuna.create_study()
    limits = []
    for seconds in (1.0, 20.0, 20.0, 20.0, 300.0):
        limits.append(trial_limit(study, TuneSettings()))
        study.add_trial(optuna.create_trial(state=TrialState.COMPLETE, value=0.5, user_attrs={SECONDS: seconds}))
    assert limits == [float("inf")] * 4 + [200.0]
    quick = optuna.create_study()
    quick.add_trials([optuna.create_trial(value=0.5, user_attrs={SECONDS: 0.1})] * 5)
    assert trial_limit(quick, TuneSettings()) == MIN_LIMIT
    assert trial_limit(quick, TuneSettings(trial_timeout=7)) == 7


def test_outside_the_main_thread_the_limit_is_checked_before_a_fold() -> None:
    seen: list[Any] = []

    def look() -> None:
        with time_limit(60):
            seen.append("ran")
        try:
            with time_limit(0):
                seen.append("ran again")
        except OverTimeError:
            seen.append("stopped")

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == ["ran", "stopped"]


def test_a_worker_of_the_command_line_words_its_messages_so() -> None:
    command = [sys.executable, "-m", "recroute.tuning.parallel", COMMAND_LINE]
    unknown = pickle.dumps(rr.Router, 0).replace(b"recroute.routers", b"recroute.nowhere")
    ended = subprocess.run(command, input=unknown, capture_output=True, check=False)
    assert ended.returncode == 2
    assert "use --jobs 1" in ended.stderr.decode()
