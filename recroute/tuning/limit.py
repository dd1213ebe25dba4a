"""Time limit of a trial."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import numpy as np
from optuna.study import Study

from recroute.tuning.settings import MEDIANS, MIN_LIMIT, TuneSettings
from recroute.tuning.strategy import MIN_COMPLETED
from recroute.tuning.trials import SECONDS, completed

REPEAT_SECONDS = 1.0  # until the error is raised again, in case a library swallowed it


class OverTimeError(BaseException):
    """Raised when a trial reaches its time limit; no Exception, so that a library's `except Exception` lets it pass."""


def trial_limit(study: Study, settings: TuneSettings) -> float:
    """Time limit of the next trial in seconds; infinite while there are too few trials to compare with."""
    if settings.trial_timeout is not None:
        return settings.trial_timeout
    seconds = [trial.user_attrs[SECONDS] for trial in completed(study) if SECONDS in trial.user_attrs]
    if len(seconds) < MIN_COMPLETED:
        return float("inf")
    return max(MIN_LIMIT, MEDIANS * float(np.median(seconds)))


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Context manager: raise OverTimeError in its block when the time is over.

    A signal interrupts Python code in any router; a call into compiled code is interrupted when it returns. Without
    SIGALRM (Windows), and outside the main thread, the time is only checked at the beginning of the block.
    """
    if seconds <= 0:
        raise OverTimeError
    if seconds == float("inf") or not _has_alarm():
        yield
        return
    before = signal.signal(signal.SIGALRM, _raise)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:  # also if the alarm rang while the block ended
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _has_alarm() -> bool:
    return hasattr(signal, "SIGALRM") and threading.current_thread() is threading.main_thread()


def _raise(number: int, frame: FrameType | None) -> None:
    raise OverTimeError
