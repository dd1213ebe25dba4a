"""Trials: one after the other until a study has all of them, beside other workers that may die at any moment."""

from __future__ import annotations

import os
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from recroute.errors import RecrouteError
from recroute.routers import Router
from recroute.tuning.pruner import hopeless
from recroute.tuning.space import Space
from recroute.tuning.validation import Validation

BEAT_SECONDS = 20.0
DEAD_SECONDS = 300.0  # without a sign of life of a worker on another host
UNCLAIMED_SECONDS = 30.0  # between a trial's start and its worker's name on it
WAIT_SECONDS = 0.5
WORKER, BEAT, ERROR, LOST = "worker", "beat", "error", "lost"
LABEL, FOLDS, SECONDS, PLACE = "label", "folds", "seconds", "place"
REPEATED = "a pipeline that the study has had"
AT_RANDOM, GIVE_UP = 5, 20  # draws of such a pipeline, one after the other

Told = Callable[[Study], None]


class Stopped(Exception):  # noqa: N818  not an error
    """The time is over while a trial runs."""


@dataclass(frozen=True)
class Job:
    """What a worker needs beside the study: the space, the validation, how many trials the study is to have, the seed
    of what is tried, whether hopeless trials are stopped, and the time (as of `time.time`) to stop at.
    """

    space: Space
    validation: Validation
    n_trials: int
    seed: int
    prune: bool = True
    until: float = float("inf")


def work(study: Study, job: Job, told: Told | None = None) -> None:
    """Run trials until `n_trials` are finished, by this worker or another.

    A trial that another worker started and will not finish, because its process has died, is taken over with the same
    parameters. So a study always gets its number of trials, and each is counted once.

    Raises
    ------
    KeyboardInterrupt
        After the running trial has been given back.
    """
    while True:
        take_over(study)
        trials = study.get_trials(deepcopy=False)
        if sum(map(is_finished, trials)) >= job.n_trials or time.time() >= job.until:
            return
        if sum(is_finished(t) or t.state == TrialState.RUNNING for t in trials) >= job.n_trials:
            time.sleep(WAIT_SECONDS)  # another worker has the last ones; it may still die
            continue
        trial = _ask(study, job)
        try:
            if (router := _claim(study, trial, job)) is None:
                continue
            with _beating(study, trial):
                _run(study, trial, router, job)
        except (KeyboardInterrupt, Stopped) as stop:
            give_back(study, study.get_trials(deepcopy=False)[trial.number])
            if isinstance(stop, KeyboardInterrupt):
                raise
            return
        except BaseException:
            give_back(study, study.get_trials(deepcopy=False)[trial.number], again=False)
            raise
        if told:
            told(study)


def _ask(study: Study, job: Job) -> Trial:
    """The next trial.

    The sampler gets a seed for each trial, so that a study that was stopped goes on as if it had not been.
    """
    trials = study.get_trials(deepcopy=False)
    place = sum(counts(t) for t in trials if t.state != TrialState.WAITING)
    drawn = _drawn_again(trials, place)
    seed = int(np.random.default_rng([job.seed, place, drawn]).integers(2**31))
    study.sampler = _sampler(seed, at_random=drawn >= AT_RANDOM)
    trial = study.ask()
    trial.set_user_attr(WORKER, _me())
    trial.set_user_attr(PLACE, place)
    return trial


def _sampler(seed: int, at_random: bool) -> optuna.samplers.BaseSampler:
    """Parzen estimators over all hyperparameters of a router together, running trials counted as bad ones."""
    if at_random:
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # `group`, which Optuna has had since 2.8
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def _claim(study: Study, trial: Trial, job: Job) -> Router | None:
    """The router of a trial; None if it is not to be judged.

    That is if other workers have begun the last trials meanwhile, or if the study has had this very pipeline: then
    another is drawn, after a few times at random, until the space seems to have no other.
    """
    trials = study.get_trials(deepcopy=False)
    if sum(map(counts, trials[: trial.number])) >= job.n_trials:
        _fail(study, trial._trial_id, {LOST: "one too many"})
        return None
    router = job.space.suggest(trial)
    trial.set_user_attr(LABEL, router.label)
    others = {t.user_attrs.get(LABEL) for t in trials if t.number != trial.number and counts(t)}
    if router.label in others and _drawn_again(trials, trial.user_attrs[PLACE]) < GIVE_UP:
        _fail(study, trial._trial_id, {LOST: REPEATED})
        return None
    return router


def _drawn_again(trials: list[FrozenTrial], place: int) -> int:
    """How often a pipeline that the study has had was drawn for this place."""
    return sum(t.user_attrs.get(LOST) == REPEATED and t.user_attrs.get(PLACE) == place for t in trials)


def _run(study: Study, trial: Trial, router: Router, job: Job) -> None:
    """Judge the trial's router fold by fold, and tell the study."""
    start = time.perf_counter()
    known = _known(study, router.label)
    values: list[tuple[float, ...]] = []
    try:
        for fold in range(len(job.validation.folds)):
            if time.time() >= job.until:
                raise Stopped
            values.append(known[fold] if known else job.validation.values(router, fold))
            if len(study.directions) == 1:
                trial.report(values[-1][0], fold)
                if job.prune and hopeless(study, trial.number):
                    trial.set_user_attr(SECONDS, time.perf_counter() - start)
                    study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
                    return
    except RecrouteError as error:  # these hyperparameters do not go with these data: a finding, not an accident
        _fail(study, trial._trial_id, {ERROR: str(error)})
        return
    trial.set_user_attr(SECONDS, time.perf_counter() - start)
    trial.set_user_attr(FOLDS, values)
    study.tell(trial, np.mean(values, axis=0).tolist(), skip_if_finished=True)


def _known(study: Study, label: str) -> list[tuple[float, ...]] | None:
    """The values by fold of a pipeline that was judged before: two trials may come to the same one."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        if trial.user_attrs.get(LABEL) == label:
            return [tuple(values) for values in trial.user_attrs[FOLDS]]
    return None


def is_finished(trial: FrozenTrial) -> bool:
    """Whether a trial is one of those a study was asked for, and over."""
    if trial.state == TrialState.FAIL:
        return ERROR in trial.user_attrs
    return bool(trial.state in (TrialState.COMPLETE, TrialState.PRUNED))


def counts(trial: FrozenTrial) -> bool:
    """Whether it is, or will be, one of those a study was asked for."""
    return is_finished(trial) or trial.state in (TrialState.RUNNING, TrialState.WAITING)


def take_over(study: Study) -> None:
    """Give back the trials of workers that have died."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _is_dead(trial):
            give_back(study, trial)


def give_back(study: Study, trial: FrozenTrial, again: bool = True) -> None:
    """End a trial that nobody will finish, and have its parameters tried again."""
    params = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    if _fail(study, trial._trial_id, {LOST: "its worker died or was stopped"}) and again and params:
        study.enqueue_trial(params)


def _fail(study: Study, trial_id: int, why: Mapping[str, str]) -> bool:
    """Mark a trial as failed; False if somebody else has ended it before."""
    try:
        for key, value in why.items():
            study._storage.set_trial_user_attr(trial_id, key, value)
        return bool(study._storage.set_trial_state_values(trial_id, state=TrialState.FAIL))
    except UpdateFinishedTrialError:
        return False


@contextmanager
def _beating(study: Study, trial: Trial) -> Iterator[None]:
    """Signs of life from a thread of its own, however long a fold takes."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            try:
                study._storage.set_trial_user_attr(trial._trial_id, BEAT, time.time())
            except UpdateFinishedTrialError:  # another worker has taken this one for dead
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _is_dead(trial: FrozenTrial) -> bool:
    worker: Mapping[str, Any] | None = trial.user_attrs.get(WORKER)
    began = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    if worker is None:
        return time.time() - began > UNCLAIMED_SECONDS
    if worker["host"] == socket.gethostname():
        if worker["pid"] == os.getpid():  # ours, from a call that was interrupted: we are between trials
            return True
        return bool(_process_started(worker["pid"]) != worker["started"])
    last = max(float(trial.user_attrs.get(BEAT, 0.0)), float(worker["at"]))
    return time.time() - last > DEAD_SECONDS


def _me() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": _process_started(os.getpid()),
        "at": time.time(),
    }


def _process_started(pid: int) -> str | None:
    """When a process of this host started, as the kernel counts; "" where it does not say, None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]  # a zombie has died
    except FileNotFoundError:
        if os.path.isdir("/proc/self"):
            return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""
