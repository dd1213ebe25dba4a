"""A trial that takes longer than its limit is stopped in the middle of a fit and kept in the study."""

import pickle
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

import recroute as rr
from recroute.errors import RouterError
from recroute.tuning.choice import choose
from recroute.tuning.limit import OverTimeError, time_limit, trial_limit
from recroute.tuning.parallel import COMMAND_LINE
from recroute.tuning.settings import MIN_LIMIT, TuneSettings
from recroute.tuning.space import Space
from recroute.tuning.storage import open_storage
from recroute.tuning.study import open_study
from recroute.tuning.trials import LIMIT, SECONDS, trial_table
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
