"""Recovery of trials whose worker process has died: worker identity, heartbeats and requeueing."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from optuna.exceptions import OptunaError, UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from recroute.tuning.trials import BEAT, ERROR, LOST, WORKER

BEAT_SECONDS = 20.0
DEAD_SECONDS = 300.0  # without a heartbeat, after which a worker on another host counts as dead
UNCLAIMED_SECONDS = 30.0  # allowed between the start of a trial and the entry of its worker
DIED, STOPPED, OVER = "its worker died", "its worker was stopped", "the search ended"
MAX_DEATHS = 3  # of workers running the same parameters


def requeue_lost(study: Study) -> None:
    """Requeue the trials of dead workers."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if _is_ours(trial):  # left over from an interrupted call, because this worker is between trials
            requeue(study, trial, STOPPED)
        elif _is_dead(trial):
            requeue(study, trial, DIED)


def requeue(study: Study, trial: FrozenTrial, why: str) -> None:
    """Fail a trial that no worker will finish, and queue its parameters again.

    Parameters with which `MAX_DEATHS` workers have died count as a failed trial and are not tried again.
    """
    params = _parameters(trial)
    if why == DIED and params and _deaths(study, params) >= MAX_DEATHS - 1:
        message = f"{MAX_DEATHS} worker processes died while running it, often because memory ran out"
        fail(study, trial._trial_id, {ERROR: message})
    elif fail(study, trial._trial_id, {LOST: why}) and params:
        study.enqueue_trial(params)


def _deaths(study: Study, params: Mapping[str, Any]) -> int:
    """Number of workers that have died while running these parameters."""
    lost = study.get_trials(deepcopy=False, states=(TrialState.FAIL,))
    return sum(t.user_attrs.get(LOST) == DIED and _parameters(t) == params for t in lost)


def _parameters(trial: FrozenTrial) -> dict[str, Any]:
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def fail(study: Study, trial_id: int, attributes: Mapping[str, str]) -> bool:
    """Mark a trial as failed; returns False if it had already ended."""
    try:
        for key, value in attributes.items():
            study._storage.set_trial_user_attr(trial_id, key, value)
        return bool(study._storage.set_trial_state_values(trial_id, state=TrialState.FAIL))
    except UpdateFinishedTrialError:
        return False


@contextmanager
def heartbeat(study: Study, trial: Trial) -> Iterator[None]:
    """Send heartbeats from a separate thread while the trial runs."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            try:
                study._storage.set_trial_user_attr(trial._trial_id, BEAT, time.time())
            except UpdateFinishedTrialError:  # another worker considered this one dead
                return
            except (OptunaError, SQLAlchemyError):  # the database is busy; the next heartbeat may succeed
                continue

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _is_ours(trial: FrozenTrial) -> bool:
    worker: Mapping[str, Any] = trial.user_attrs.get(WORKER, {})
    return bool(worker) and (worker["host"], worker["pid"]) == (socket.gethostname(), os.getpid())


def _is_dead(trial: FrozenTrial) -> bool:
    worker: Mapping[str, Any] | None = trial.user_attrs.get(WORKER)
    began = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    if worker is None:
        return time.time() - began > UNCLAIMED_SECONDS
    if worker["host"] == socket.gethostname():
        return bool(_process_started(worker["pid"]) != worker["started"])
    last = max(float(trial.user_attrs.get(BEAT, 0.0)), float(worker["at"]))
    return time.time() - last > DEAD_SECONDS


def this_worker() -> dict[str, Any]:
    """Identity of this process: host, process id and start time."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": _process_started(os.getpid()),
        "at": time.time(),
    }


def _process_started(pid: int) -> str | None:
    """Start time of a process on this host, in the kernel's units; "" if unknown, None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]  # a zombie has died
    except (FileNotFoundError, ProcessLookupError):
        if os.path.isdir("/proc/self"):
            return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return ""
    return ""
