"""A worker, which runs trials one after the other until the study is complete, next to other workers that may die."""

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
from recroute.tuning.limit import OverTimeError, time_limit, trial_limit
from recroute.tuning.recovery import OVER, STOPPED, fail, heartbeat, requeue, requeue_lost, this_worker
from recroute.tuning.settings import TuneSettings
from recroute.tuning.space import Space
from recroute.tuning.strategy import new_pipeline_sampler, should_stop
from recroute.tuning.trials import ERROR, FOLDS, LABEL, LIMIT, LOST, SECONDS, WORKER, counts, is_finished, n_judged
from recroute.tuning.validation import Validation
from recroute.util import memo

WAIT_SECONDS = 0.5
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True)
class Job:
    """Arguments of a worker besides the study.

    Parameters
    ----------
    space : Space
    validation : Validation
    settings : TuneSettings
    until : float
        End of the search, in the units of `time.time`.
    """

    space: Space
    validation: Validation
    settings: TuneSettings
    until: float = float("inf")


def work(study: Study, job: Job, after_trial: Callable[[Study], None] | None = None) -> None:
    """Run trials until `settings.n_trials` are finished, by this worker or others.

    A trial whose worker has died, or that was stopped by the end of the search, is run again with the same parameters,
    so every study gets its full number of trials and counts each of them once.

    Raises
    ------
    KeyboardInterrupt
        After the running trial has been requeued.
    """
    while True:
        requeue_lost(study)
        trials, wanted = study.get_trials(deepcopy=False), job.settings.n_trials
        if sum(map(is_finished, trials)) >= wanted or time.time() >= job.until:
            return
        if sum(is_finished(t) or t.state == TrialState.RUNNING for t in trials) >= wanted:
            time.sleep(WAIT_SECONDS)  # other workers run the last trials, but may still die
            continue
        _run_next(study, job)
        if after_trial:
            after_trial(study)


def _run_next(study: Study, job: Job) -> None:
    """Run one trial."""
    trial = _ask(study, job)
    try:
        if (router := _claim(study, trial, job)) is not None:
            with heartbeat(study, trial):
                _run(study, trial, router, job)
    except BaseException as error:
        if isinstance(error, Exception):  # a defect would occur again
            fail(study, trial._trial_id, {LOST: repr(error)})
        else:
            requeue(study, study.get_trials(deepcopy=False)[trial.number], STOPPED)
        raise


def _ask(study: Study, job: Job) -> Trial:
    """Next trial, marked with the identity of this worker."""
    study.sampler = RandomSampler(seed=job.settings.seed)  # unused: `_claim` sets the sampler for the parameters
    trial = study.ask()
    trial.set_user_attr(WORKER, this_worker())
    return trial


def _claim(study: Study, trial: Trial, job: Job) -> Router | None:
    """Router of a trial; None if other workers have started the last trials in the meantime.

    The seed of a draw depends on its place in the study, so a resumed study continues as if it had not been stopped.
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
    except RecrouteError as error:  # incompatible hyperparameters
        fail(study, trial._trial_id, {ERROR: str(error)})
        return None
    trial.set_user_attr(LABEL, router.label)
    return router


def _run(study: Study, trial: Trial, router: Router, job: Job) -> None:
    """Judge the trial's router fold by fold and report to the study; an identical pipeline's results are reused."""
    start, limit, rest = time.perf_counter(), trial_limit(study, job.settings), job.until - time.time()
    earlier = _earlier(study, trial.number, router.label)
    if earlier is not None and earlier.state == TrialState.FAIL:
        fail(study, trial._trial_id, {ERROR: earlier.user_attrs[ERROR]})
        return
    values: list[tuple[float, ...]] = []
    try:
        for fold in range(len(job.validation.folds)):
            with time_limit(start + min(limit, rest) - time.perf_counter()):
                value = _known(earlier, fold) or _judge(job.validation, router, fold)
            values.append(value)
            if len(study.directions) == 1:
                trial.report(value[0], fold)
                if job.settings.prune and should_stop(study, trial.number):
                    _stop(study, trial, start)
                    return
    except RecrouteError as error:  # these hyperparameters do not suit these data
        fail(study, trial._trial_id, {ERROR: str(error)})
        return
    except OverTimeError:
        trial.set_user_attr(LIMIT, max(0.0, min(limit, rest)))
        trial.set_user_attr(FOLDS, values)
        if rest < limit:
            _stop_for_now(study, trial, start, job)
        else:
            _stop(study, trial, start)
        return
    except MemoryError as error:
        fail(study, trial._trial_id, {ERROR: f"not enough memory: {error}"})
        return
    trial.set_user_attr(SECONDS, time.perf_counter() - start)
    trial.set_user_attr(FOLDS, values)
    study.tell(trial, np.mean(values, axis=0).tolist(), state=TrialState.COMPLETE, skip_if_finished=True)


def _stop(study: Study, trial: Trial, start: float) -> None:
    """End a trial early; Optuna takes its last reported value, if any, as its value."""
    trial.set_user_attr(SECONDS, time.perf_counter() - start)
    study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)


def _stop_for_now(study: Study, trial: Trial, start: float, job: Job) -> None:
    """End a trial at the end of the search, and queue its parameters, which a resumed study runs from this fold on."""
    trial.set_user_attr(LOST, OVER)
    _stop(study, trial, start)
    study.enqueue_trial(trial.params)
    time.sleep(max(0.0, job.until - time.time()))  # the timer may be ahead of the clock


def _judge(validation: Validation, router: Router, fold: int) -> tuple[float, ...]:
    """Values of a router on one fold; if memory runs out, caches are emptied and it is tried once more."""
    try:
        return validation.values(router, fold)
    except MemoryError:
        memo.forget()
        return validation.values(router, fold)


def _earlier(study: Study, number: int, label: str) -> FrozenTrial | None:
    """An ended trial of the same pipeline, preferably one judged on all folds; None if there is none."""
    ended = [
        t
        for t in study.get_trials(deepcopy=False, states=ENDED)
        if t.user_attrs.get(LABEL) == label and (is_finished(t) or LIMIT in t.user_attrs) and t.number != number
    ]
    return min(ended, key=lambda t: (t.state != TrialState.COMPLETE, -n_judged(t), t.number), default=None)


def _known(earlier: FrozenTrial | None, fold: int) -> tuple[float, ...] | None:
    """Values of an earlier trial on one fold; None if it was not judged on that fold."""
    if earlier is None:
        return None
    if FOLDS in earlier.user_attrs:
        return next(map(tuple, earlier.user_attrs[FOLDS][fold : fold + 1]), None)
    return (earlier.intermediate_values[fold],) if fold in earlier.intermediate_values else None
