"""Running trials in this process or in worker processes: starting, monitoring and stopping them."""

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
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import optuna
from optuna.study import Study

from recroute.data import Encoder
from recroute.data.encoding import Precomputed
from recroute.encoders import FunctionEncoder
from recroute.errors import DataError, RecrouteError, RouterError, argument, either, on_command_line
from recroute.tuning.choice import best_so_far
from recroute.tuning.recovery import requeue_lost
from recroute.tuning.storage import storage_at
from recroute.tuning.trials import n_finished
from recroute.tuning.worker import Job, work
from recroute.util import memo

Progress = Callable[[int, int, str], None]
MEMO_ROOM = 4  # folds whose prompt-only results are cached, because every trial needs all folds again
WATCH_SECONDS = 0.5
GRACE_SECONDS, SIGNAL_SECONDS = 15.0, 1.0  # given to workers to requeue their trials after an interrupt
INPUT_ERROR, INTERRUPTED = 2, 130  # exit codes of a worker
COMMAND_LINE = "command-line"  # argument of a worker whose messages are read by someone who typed a command
NO_MEMORY = ("MemoryError", "Cannot allocate memory", "failed to map segment")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_trials(study: Study, job: Job, progress: Progress | None) -> bool:
    """Run trials until all are finished, the time limit or an interrupt; returns False after an interrupt.

    At the time limit the search has ended as planned, even if trials are missing.

    Raises
    ------
    RouterError
        If worker processes were killed or ran out of memory.
    RuntimeError
        If a worker process failed by a defect of recroute.
    """
    settings = job.settings
    if settings.timeout is not None:
        job = replace(job, until=time.time() + settings.timeout)
    report = _reporter(job, progress)
    interrupted = True
    with suppress(KeyboardInterrupt):
        if settings.n_jobs == 1:
            report(study)
            with memo.room(MEMO_ROOM):
                work(study, job, report)
        else:
            _watch(study, job, report)
        interrupted = False
    is_out_of_time = not interrupted and time.time() >= job.until
    return is_out_of_time or n_finished(study) >= settings.n_trials


def _reporter(job: Job, progress: Progress | None) -> Callable[[Study], None]:
    def report(study: Study) -> None:
        if progress is not None:
            n_trials = job.settings.n_trials
            progress(min(n_finished(study), n_trials), n_trials, best_so_far(study))

    return report


def _watch(study: Study, job: Job, report: Callable[[Study], None]) -> None:
    """Start worker processes and wait for them; the trial of a dead worker is run by another one."""
    order = _order(study, job)
    with ExitStack() as files:
        errors = [files.enter_context(tempfile.TemporaryFile()) for _ in range(job.settings.n_jobs)]
        workers = _start(errors)
        try:
            for worker in workers:
                assert worker.stdin is not None
                with suppress(BrokenPipeError):  # the worker has died already; its exit code is checked below
                    worker.stdin.write(order)
                    worker.stdin.flush()  # stays open: a worker stops when it is closed
            while any(worker.poll() is None for worker in workers):
                report(study)
                time.sleep(WATCH_SECONDS)
        finally:
            _end(workers)
        report(study)
        requeue_lost(study)
        if n_finished(study) < job.settings.n_trials and time.time() < job.until:
            _raise_failure([worker.returncode for worker in workers], [_text(file) for file in errors])


def _order(study: Study, job: Job) -> bytes:
    """Pickled arguments of a worker process."""
    try:
        return _pickled((_journal(study), study.study_name, job))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise DataError(
            f"this data set cannot be sent to worker processes ({error}); define its classes at module level, or use "
            f"{argument('n_jobs', 1, option='jobs')}"
        ) from None


class _Pickler(pickle.Pickler):
    """Pickler that sends only the name of a user's encoder; workers do not need it, because all prompts are encoded."""

    def reducer_override(self, obj: Any) -> Any:
        is_encoder = isinstance(obj, Encoder) and not isinstance(obj, type)
        ours = type(obj).__module__.startswith("recroute.") and not isinstance(obj, FunctionEncoder)
        return (Precomputed, (obj.name, True)) if is_encoder and not ours else NotImplemented


def _pickled(order: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer).dump(order)
    return buffer.getvalue()


def _raise_failure(codes: list[int], errors: list[str]) -> None:
    """Raise an error for workers that ended before all trials were run.

    Raises
    ------
    RouterError
        If the input was invalid, or workers were killed or ran out of memory.
    RuntimeError
        With the worker's traceback, if it is a defect.
    """
    resume = "finished trials are kept: run the same command again to resume"
    for code, error in zip(codes, errors, strict=True):
        if code == INPUT_ERROR:
            raise RouterError(error.strip())
        if code < 0 or (code > 0 and any(sign in error for sign in NO_MEMORY)):
            raise RouterError(
                f"the worker processes ended early (exit codes {codes}; -9 often means out of memory); {resume}, "
                f"perhaps with fewer {argument('n_jobs', option='jobs')}"
            )
    for code, error in zip(codes, errors, strict=True):
        if code > 0 and code != INTERRUPTED:
            raise RuntimeError(f"a worker process ended with exit code {code}\n{error}")


def _text(file: IO[bytes]) -> str:
    """Text that a process wrote to a file opened for it."""
    file.seek(0)
    return file.read().decode("utf8", errors="replace")


def _start(errors: Sequence[IO[bytes]]) -> list[subprocess.Popen[bytes]]:
    """Start worker processes, which ignore interrupts until they are ready to handle them, see `_main`."""
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    command = [sys.executable, "-m", "recroute.tuning.parallel", either(COMMAND_LINE, "python")]
    is_main = threading.current_thread() is threading.main_thread()  # other threads must not set signal handlers
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_main else None
    try:
        return [subprocess.Popen(command, stdin=subprocess.PIPE, stderr=file, env=environment) for file in errors]
    finally:
        if is_main:
            signal.signal(signal.SIGINT, before)


def _end(workers: list[subprocess.Popen[bytes]]) -> None:
    """Stop the workers, after giving them time to requeue their trials."""
    until = time.time() + GRACE_SECONDS
    while (living := [worker for worker in workers if worker.poll() is None]) and time.time() < until:
        for worker in living:
            worker.send_signal(signal.SIGINT)  # repeated for workers that were not ready before
        time.sleep(SIGNAL_SECONDS)
    for worker in workers:
        worker.kill()
        worker.wait()
        if worker.stdin is not None:
            with suppress(BrokenPipeError):  # it did not read all of its input
                worker.stdin.close()


def _journal(study: Study) -> str | None:
    """Journal file of a study; None if it is in another storage."""
    backend: Any = getattr(study._storage, "_backend", None)
    return getattr(backend, "_file_path", None)


def _main() -> None:
    """Entry point of a worker process, which reads its arguments from standard input."""
    try:
        journal, name, job = _read_order()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with storage_at(job.settings.storage, Path(journal or ".")) as storage:
            study = optuna.load_study(storage=storage, study_name=name)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.default_int_handler)
            threading.Thread(target=_stop_with_parent, daemon=True).start()
            with memo.room(MEMO_ROOM):
                work(study, job)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except RecrouteError as error:
        print(error, file=sys.stderr)
        sys.exit(INPUT_ERROR)


def _read_order() -> Any:
    try:
        return pickle.load(sys.stdin.buffer)  # safe: the parent process writes it
    except (AttributeError, ImportError) as error:
        raise RouterError(
            f"worker processes cannot import the classes of the data set ({error}); define them in an importable "
            f"module, or use {argument('n_jobs', 1, option='jobs')}"
        ) from None


def _stop_with_parent() -> None:
    """Interrupt the work when the parent process has ended."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    _thread.interrupt_main()


if __name__ == "__main__":
    with on_command_line() if COMMAND_LINE in sys.argv else nullcontext():
        _main()
