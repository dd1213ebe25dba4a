"""Workers in processes of their own, and one that watches them."""

from __future__ import annotations

import _thread
import io
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import optuna
from optuna.study import Study

from recroute.data import Encoder
from recroute.data.encoding import Precomputed
from recroute.errors import DataError, RecrouteError, RouterError
from recroute.tuning.choose import best_so_far
from recroute.tuning.life import take_over
from recroute.tuning.storage import storage_at
from recroute.tuning.trials import is_finished
from recroute.tuning.worker import Job, work
from recroute.util import memo

Progress = Callable[[int, int, str], None]
ROOM = 4  # folds come round with every trial: what prompts alone decide is kept for all of them
WATCH_SECONDS = 0.5
PATIENCE_SECONDS, ASK_AGAIN_SECONDS = 15.0, 1.0  # for workers to give their trials back after an interrupt
REFUSED, INTERRUPTED = 2, 130  # exit codes of a worker
NO_MEMORY = ("MemoryError", "Cannot allocate memory", "failed to map segment")
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
    with suppress(KeyboardInterrupt):
        if n_jobs == 1:
            tell = _teller(job, progress)
            tell(study)
            with memo.room(ROOM):
                work(study, job, tell)
        else:
            _watch(study, job, n_jobs, storage, _teller(job, progress))
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
    order = _order(storage, study, job)
    with ExitStack() as files:
        errors = [files.enter_context(tempfile.TemporaryFile()) for _ in range(n_jobs)]
        workers = _start(errors)
        try:
            for worker in workers:
                assert worker.stdin is not None
                with suppress(BrokenPipeError):  # it has died already: its exit code tells
                    worker.stdin.write(order)
                    worker.stdin.flush()  # and stays open: its end tells a worker that we are gone
            while any(worker.poll() is None for worker in workers):
                tell(study)
                time.sleep(WATCH_SECONDS)
        finally:
            _end(workers)
        tell(study)
        take_over(study)
        if _n_finished(study) < job.n_trials and time.time() < job.until:
            _explain([worker.returncode for worker in workers], [_text(file) for file in errors])


def _order(storage: str | None, study: Study, job: Job) -> bytes:
    """What a worker process has to know."""
    try:
        return _pickled((storage, _journal(study), study.study_name, job))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise DataError(
            f"worker processes cannot be given this data set ({error}); define what is in it at the top of a module, "
            "or run with one job"
        ) from None


class _Pickler(pickle.Pickler):
    """A pickler for what workers may not be able to import: of a user's encoder only the name, for all is encoded."""

    def reducer_override(self, obj: Any) -> Any:
        is_encoder = isinstance(obj, Encoder) and not isinstance(obj, type)
        ours = type(obj).__module__.startswith("recroute.")
        return (Precomputed, (obj.name, True)) if is_encoder and not ours else NotImplemented


def _pickled(order: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer).dump(order)
    return buffer.getvalue()


def _explain(codes: list[int], errors: list[str]) -> None:
    """Raise for workers that ended before all trials were run.

    Raises
    ------
    RouterError
        If they were refused something, were killed, or had no memory.
    RuntimeError
        With the worker's traceback, if it is a defect.
    """
    again = "what was finished is kept: run the same command again to go on"
    for code, error in zip(codes, errors, strict=True):
        if code == REFUSED:
            raise RouterError(error.strip())
        if code < 0 or (code > 0 and any(sign in error for sign in NO_MEMORY)):
            raise RouterError(
                f"the worker processes ended early (exit codes {codes}; -9 is often a lack of memory); {again}, "
                "perhaps with fewer --jobs"
            )
    for code, error in zip(codes, errors, strict=True):
        if code > 0 and code != INTERRUPTED:
            raise RuntimeError(f"a worker process ended with exit code {code}\n{error}")


def _text(file: IO[bytes]) -> str:
    """What a process wrote into a file that we opened for it."""
    file.seek(0)
    return file.read().decode("utf8", errors="replace")


def _start(errors: Sequence[IO[bytes]]) -> list[subprocess.Popen[bytes]]:
    """Worker processes that hear of no interrupt until they are ready for one, see `_main`."""
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    command = [sys.executable, "-m", "recroute.tuning.parallel"]
    here = threading.current_thread() is threading.main_thread()  # no other may touch signals
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if here else None
    try:
        return [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=file, env=environment) for file in errors]
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
        if worker.stdin is not None:
            with suppress(BrokenPipeError):  # of an order that it did not read to the end
                worker.stdin.close()


def _journal(study: Study) -> str | None:
    """The journal file of a study that is kept in one."""
    backend: Any = getattr(study._storage, "_backend", None)
    return getattr(backend, "_file_path", None)


def _main() -> None:
    """What a worker process does with the order it gets on standard input."""
    try:
        url, journal, name, job = _read_order()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with storage_at(url, Path(journal or ".")) as storage:
            study = optuna.load_study(storage=storage, study_name=name)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.default_int_handler)
            threading.Thread(target=_stop_with_parent, daemon=True).start()
            with memo.room(ROOM):
                work(study, job)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except RecrouteError as error:
        print(error, file=sys.stderr)
        sys.exit(REFUSED)


def _read_order() -> Any:
    try:
        return pickle.load(sys.stdin.buffer)  # from our own parent, over a pipe
    except (AttributeError, ImportError) as error:
        raise RouterError(
            f"worker processes do not find what the data set is made of ({error}); define it in a module that can be "
            "imported, or run with one job"
        ) from None


def _stop_with_parent() -> None:
    """Interrupt the work when the process that asked for it is gone: nobody else would."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    _thread.interrupt_main()


if __name__ == "__main__":
    _main()
