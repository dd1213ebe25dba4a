"""A worker: runs trials one after the other until a study has enough, beside workers that may die at any moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from optuna.samplers import RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from recroute.errors import RecrouteError
from recroute.routers import Router
from recroute.tuning.recovery import STOPPED, fail, heartbeat, requeue, requeue_lost, this_worker
from recroute.tuning.settings import TuneSettings
from recroute.tuning.space import Space
from recroute.tuning.strategy import new_pipeline_sampler, should_stop
from recroute.tuning.trials import ERROR, FOLDS, LABEL, LOST, SECONDS, WORKER, counts, is_finished
from recroute.tuning.validation import Validation
from recroute.util import memo

WAIT_SECONDS = 0.5
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class OutOfTimeError(Exception):
    """The time limit is reached while a trial runs."""


@dataclass(frozen=True)
class Job:
    """What a worker needs beside the study.

    Parameters
    ----------
    space : Space
    validation : Validation
    settings : TuneSettings
    until : float
        Time limit, as of `time.time`.
    """

    space: Space
    validation: Validation
    settings: TuneSettings
    until: float = float("inf")


def work(study: Study, job: Job, after_trial: Callable[[Study], None] | None = None) -> None:
    """Run trials until `settings.n_trials` are finished, by this worker or another.

    A trial whose worker has died is run again with the same parameters. So a study always gets its number of trials,
    and each is counted once.

    Raises
    ------
    KeyboardInterrupt
        After the running trial has been queued again.
    """
    while True:
        requeue_lost(study)
        trials, wanted = study.get_trials(deepcopy=False), job.settings.n_trials
        if sum(map(is_finished, trials)) >= wanted or time.time() >= job.until:
            return
        if sum(is_finished(t) or t.state == TrialState.RUNNING for t in trials) >= wanted:
            time.sleep(WAIT_SECONDS)  # another worker has the last ones; it may still die
            continue
        if not _run_next(study, job):
            return
        if after_trial:
            after_trial(study)


def _run_next(study: Study, job: Job) -> bool:
    """Run one trial; False if the time is over."""
    trial = _ask(study, job)
    try:
        if (router := _claim(study, trial, job)) is not None:
            with heartbeat(study, trial):
                _run(study, trial, router, job)
    except OutOfTimeError:
        requeue(study, study.get_trials(deepcopy=False)[trial.number], STOPPED)
        return False
    except BaseException as error:
        if isinstance(error, Exception):  # a defect would be one again
            fail(study, trial._trial_id, {LOST: repr(error)})
        else:
            requeue(study, study.get_trials(deepcopy=False)[trial.number], STOPPED)
        raise
    return True


def _ask(study: Study, job: Job) -> Trial:
    """The next trial, with our name on it."""
    study.sampler = RandomSampler(seed=job.settings.seed)  # `_claim` has another one draw the parameters
    trial = study.ask()
    trial.set_user_attr(WORKER, this_worker())
    return trial


def _claim(study: Study, trial: Trial, job: Job) -> Router | None:
    """The router of a trial; None if other workers have begun the last trials meanwhile.

    Each draw has a seed of its own, so a study that was stopped goes on as if it had not been.
    """
    trials = study.get_trials(deepcopy=False)
    place = sum(map(counts, trials[: trial.number]))
    if place >= job.settings.n_trials:
        fail(study, trial._trial_id, {LOST: "one too many"})
        return None
    others = [t for t in trials if t.number != trial.number and counts(t)]
    seen = {t.user_attrs[LABEL] for t in others if LABEL in t.user_attrs}
    study.sampler = new_pipeline_sampler(study, job.space, others, seen, (job.settings.seed, place))
    try:
        router = job.space.suggest(trial)
    except RecrouteError as error:  # hyperparameters that do not go together
        fail(study, trial._trial_id, {ERROR: str(error)})
        return None
    trial.set_user_attr(LABEL, router.label)
    return router


def _run(study: Study, trial: Trial, router: Router, job: Job) -> None:
    """Judge the trial's router fold by fold and tell the study; results of an earlier trial of it are used again."""
    start = time.perf_counter()
    earlier = _earlier(study, trial.number, router.label)
    if earlier is not None and earlier.state == TrialState.FAIL:
        fail(study, trial._trial_id, {ERROR: earlier.user_attrs[ERROR]})
        return
    values: list[tuple[float, ...]] = []
    try:
        for fold in range(len(job.validation.folds)):
            if time.time() >= job.until:
                raise OutOfTimeError
            values.append(_known(earlier, fold) or _judge(job.validation, router, fold))
            if len(study.directions) == 1:
                trial.report(values[-1][0], fold)
                if job.settings.prune and should_stop(study, trial.number):
                    trial.set_user_attr(SECONDS, time.perf_counter() - start)
                    study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
                    return
    except RecrouteError as error:  # these hyperparameters do not go with these data: a finding, not an accident
        fail(study, trial._trial_id, {ERROR: str(error)})
        return
    except MemoryError as error:
        fail(study, trial._trial_id, {ERROR: f"not enough memory: {error}"})
        return
    trial.set_user_attr(SECONDS, time.perf_counter() - start)
    trial.set_user_attr(FOLDS, values)
    study.tell(trial, np.mean(values, axis=0).tolist(), state=TrialState.COMPLETE, skip_if_finished=True)


def _judge(validation: Validation, router: Router, fold: int) -> tuple[float, ...]:
    """The values of a router on one fold; where memory is short, caches are emptied first."""
    try:
        return validation.values(router, fold)
    except MemoryError:
        memo.forget()
        return validation.values(router, fold)


def _earlier(study: Study, number: int, label: str) -> FrozenTrial | None:
    """A finished trial of the same pipeline, if there is one; preferably one judged on all folds."""
    ended = [
        t
        for t in study.get_trials(deepcopy=False, states=ENDED)
        if t.user_attrs.get(LABEL) == label and is_finished(t) and t.number != number
    ]
    return min(ended, key=lambda t: (t.state != TrialState.COMPLETE, t.number), default=None)


def _known(earlier: FrozenTrial | None, fold: int) -> tuple[float, ...] | None:
    """The values of an earlier trial on one fold; None if it was not judged on it."""
    if earlier is None:
        return None
    if FOLDS in earlier.user_attrs:
        return tuple(earlier.user_attrs[FOLDS][fold])
    return (earlier.intermediate_values[fold],) if fold in earlier.intermediate_values else None
