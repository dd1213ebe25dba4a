"""Trials: one after the other until a study has all of them, beside other workers that may die at any moment."""

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
from recroute.tuning.draw import draw
from recroute.tuning.life import STOPPED, beating, fail, give_back, me, take_over
from recroute.tuning.pruner import hopeless
from recroute.tuning.space import Space
from recroute.tuning.trials import ERROR, FOLDS, LABEL, LOST, SECONDS, WORKER, counts, is_finished
from recroute.tuning.validation import Validation
from recroute.util import memo

WAIT_SECONDS = 0.5
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
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
        if not _next(study, job):
            return
        if told:
            told(study)


def _next(study: Study, job: Job) -> bool:
    """Run one trial; False if the time is over."""
    trial = _ask(study, job)
    try:
        if (router := _claim(study, trial, job)) is not None:
            with beating(study, trial):
                _run(study, trial, router, job)
    except Stopped:
        give_back(study, study.get_trials(deepcopy=False)[trial.number], STOPPED)
        return False
    except BaseException as error:
        if isinstance(error, Exception):  # a defect would be one again
            fail(study, trial._trial_id, {LOST: repr(error)})
        else:
            give_back(study, study.get_trials(deepcopy=False)[trial.number], STOPPED)
        raise
    return True


def _ask(study: Study, job: Job) -> Trial:
    """The next trial, with our name on it."""
    study.sampler = RandomSampler(seed=job.seed)  # `_claim` has another one draw the parameters
    trial = study.ask()
    trial.set_user_attr(WORKER, me())
    return trial


def _claim(study: Study, trial: Trial, job: Job) -> Router | None:
    """The router of a trial; None if other workers have begun the last trials meanwhile.

    Each draw has a seed of its own, so that a study that was stopped goes on as if it had not been.
    """
    trials = study.get_trials(deepcopy=False)
    place = sum(map(counts, trials[: trial.number]))
    if place >= job.n_trials:
        fail(study, trial._trial_id, {LOST: "one too many"})
        return None
    others = [t for t in trials if t.number != trial.number and counts(t)]
    had = {t.user_attrs[LABEL] for t in others if LABEL in t.user_attrs}
    study.sampler = draw(study, job.space, others, had, (job.seed, place))
    try:
        router = job.space.suggest(trial)
    except RecrouteError as error:  # hyperparameters that do not go with each other
        fail(study, trial._trial_id, {ERROR: str(error)})
        return None
    trial.set_user_attr(LABEL, router.label)
    return router


def _run(study: Study, trial: Trial, router: Router, job: Job) -> None:
    """Judge the trial's router fold by fold, and tell the study; what came of the same one before counts again."""
    start = time.perf_counter()
    before = _before(study, trial.number, router.label)
    if before is not None and before.state == TrialState.FAIL:
        fail(study, trial._trial_id, {ERROR: before.user_attrs[ERROR]})
        return
    values: list[tuple[float, ...]] = []
    try:
        for fold in range(len(job.validation.folds)):
            if time.time() >= job.until:
                raise Stopped
            values.append(_known(before, fold) or _judge(job.validation, router, fold))
            if len(study.directions) == 1:
                trial.report(values[-1][0], fold)
                if job.prune and hopeless(study, trial.number):
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
    told = np.mean(values, axis=0).tolist()
    study.tell(trial, told, state=TrialState.COMPLETE, skip_if_finished=True)


def _judge(validation: Validation, router: Router, fold: int) -> tuple[float, ...]:
    """The values of a router on one fold; where memory is short, what was kept to save time makes room."""
    try:
        return validation.values(router, fold)
    except MemoryError:
        memo.forget()
        return validation.values(router, fold)


def _before(study: Study, number: int, label: str) -> FrozenTrial | None:
    """An ended trial of the same pipeline, if there is one: one judged on all folds rather than another."""
    ended = [
        t
        for t in study.get_trials(deepcopy=False, states=ENDED)
        if t.user_attrs.get(LABEL) == label and is_finished(t) and t.number != number
    ]
    return min(ended, key=lambda t: (t.state != TrialState.COMPLETE, t.number), default=None)


def _known(before: FrozenTrial | None, fold: int) -> tuple[float, ...] | None:
    """The values on one fold of a trial that was judged on it."""
    if before is None:
        return None
    if FOLDS in before.user_attrs:
        return tuple(before.user_attrs[FOLDS][fold])
    return (before.intermediate_values[fold],) if fold in before.intermediate_values else None
