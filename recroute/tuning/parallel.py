"""Workers in processes of their own, and one that watches them."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import optuna
from optuna.study import Study

from recroute import memo
from recroute.errors import RouterError
from recroute.tuning.choose import best_so_far
from recroute.tuning.storage import open_storage
from recroute.tuning.worker import Job, is_finished, take_over, work

Progress = Callable[[int, int, str], None]
ROOM = 4  # folds come round with every trial: what prompts alone decide is kept for all of them
WATCH_SECONDS = 0.5
PATIENCE_SECONDS, ASK_AGAIN_SECONDS = 15.0, 1.0  # for workers to give their trials back after an interrupt
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_trials(
    study: Study, job: Job, n_jobs: int, storage: str | None, timeout: float | None, progress: Progress | None
) -> bool:
    """Run trials until the study has all, an interrupt or the timeout; True if it has all.

    Raises
    ------
    RouterError
        If the worker processes ended before that, by a defect or for want of memory.
    """
    job = replace(job, until=time.time() + timeout) if timeout is not None else job
    try:
        if n_jobs == 1:
            tell = _teller(job, progress)
            tell(study)
            with memo.room(ROOM):
                work(study, job, tell)
        else:
            _watch(study, job, n_jobs, storage, _teller(job, progress))
    except KeyboardInterrupt:
        pass
    return _n_finished(study) >= job.n_trials


def _teller(job: Job, progress: Progress | None) -> Callable[[Study], None]:
    def tell(study: Study) -> None:
        if progress is not None:
            progress(min(_n_finished(study), job.n_trials), job.n_trials, best_so_far(study))

    return tell


def _n_finished(study: Study) -> int:
    return sum(map(is_finished, study.get_trials(deepcopy=False)))


def _watch(study: Study, job: Job, n_jobs: int, storage: str | None, tell: Callable[[Study], None]) -> None:
    """Start worker processes and wait for them; what a dead one leaves, the others take over."""
    workers = _start(n_jobs)
    try:
        order = pickle.dumps((storage, _journal(study), study.study_name, job))
        for worker in workers:
            assert worker.stdin is not None
            with suppress(BrokenPipeError):  # it has died already: its exit code tells
                worker.stdin.write(order)
                worker.stdin.close()
        while any(worker.poll() is None for worker in workers):
            tell(study)
            time.sleep(WATCH_SECONDS)
    finally:
        _end(workers)
    tell(study)
    codes = [worker.returncode for worker in workers]
    take_over(study)
    if _n_finished(study) < job.n_trials and time.time() < job.until and any(codes):
        raise RouterError(
            f"the worker processes ended early (exit codes {codes}; -9 is often a lack of memory); "
            "run the same command again to go on, perhaps with fewer --jobs"
        )


def _start(n_jobs: int) -> list[subprocess.Popen[bytes]]:
    """Worker processes that hear of no interrupt until they are ready for one, see `_main`."""
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    command = [sys.executable, "-m", "recroute.tuning.parallel"]
    here = threading.current_thread() is threading.main_thread()  # no other may touch signals
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if here else None
    try:
        return [subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) for _ in range(n_jobs)]
    finally:
        if here:
            signal.signal(signal.SIGINT, before)


def _end(workers: list[subprocess.Popen[bytes]]) -> None:
    """After an interrupt: let workers give back their trials, then end them."""
    until = time.time() + PATIENCE_SECONDS
    while (living := [worker for worker in workers if worker.poll() is None]) and time.time() < until:
        for worker in living:
            worker.send_signal(signal.SIGINT)  # again, for those that were not ready yet
        time.sleep(ASK_AGAIN_SECONDS)
    for worker in workers:
        worker.kill()
        worker.wait()


def _journal(study: Study) -> str | None:
    """The journal file of a study that is kept in one."""
    backend: Any = getattr(study._storage, "_backend", None)
    return getattr(backend, "_file_path", None)


def _main() -> None:
    """What a worker process does with the order it gets on standard input."""
    from pathlib import Path

    url, journal, name, job = pickle.load(sys.stdin.buffer)  # from our own parent, over a pipe
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(storage=open_storage(url, Path(journal or ".")), study_name=name)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with memo.room(ROOM):
            work(study, job)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    _main()
