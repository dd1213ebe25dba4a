"""Several workers on one port: processes that serve the same router and share the feedback folder.

The parent only supervises. It holds a listening socket for each worker, among which the system spreads connections
(SO_REUSEPORT); while a worker that died is started again, its connections wait. A pipe joins the parent with each
worker: the worker says that it is ready or why it cannot be, and passes on POST /reload; each notices the other's end.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from recroute.errors import RecrouteError, on_command_line
from recroute.serve.settings import ServeSettings

log = logging.getLogger("recroute.serve")
SHORT_LIFE = 10.0  # seconds
MAX_SHORT_LIVES = 3  # in a row, of one worker
GRACE = 5.0  # seconds to end beyond those for the requests under way
RELOAD = "reload"
ROOM = 4_000_000  # bytes of a worker's metrics
Facts = Mapping[str, Any]


class Worker:
    """A worker as the parent sees it; `start` it again when it has died."""

    def __init__(self, number: int, settings: ServeSettings, listener: socket.socket, quiet: bool) -> None:
        self.number, self.facts, self.short_lives = number, None, 0
        self._arguments = (number, settings, listener, quiet)
        self.start()

    def start(self) -> None:
        context = get_context("spawn")  # a forked process may not use threads that the parent had started
        self.link, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(*self._arguments, theirs), name=f"worker-{self.number}")
        self.process.start()
        theirs.close()
        self._started = time.monotonic()

    def hear(self) -> Any:
        """What the worker says; None if it has died."""
        try:
            return self.link.recv()
        except (EOFError, OSError):
            return None

    def bury(self) -> str:
        """Wait for the end of a worker that has died, and say how it died."""
        from prometheus_client.multiprocess import mark_process_dead

        self.link.close()
        self.process.join()
        mark_process_dead(self.process.pid)  # type: ignore[no-untyped-call]
        self.short_lives = self.short_lives + 1 if time.monotonic() - self._started < SHORT_LIFE else 0
        code = self.process.exitcode or 0
        return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def supervise(
    settings: ServeSettings, listeners: Sequence[socket.socket], quiet: bool, on_ready: Callable[[Facts], None]
) -> None:
    """Serve with a worker for each listening socket until SIGTERM or Ctrl-C, as `run` does with one process.

    Parameters
    ----------
    settings : ServeSettings
        Its threads are shared out.
    listeners : list of socket
    quiet : bool
        Whether workers log errors only.
    on_ready : callable
        Called with the facts of the first worker when all are ready.

    Raises
    ------
    RecrouteError
        If a worker cannot start, or dies again and again.
    KeyboardInterrupt
        After Ctrl-C, when all have ended.
    """
    share = replace(settings, threads=max(1, settings.threads // len(listeners)))
    with _stop_signals() as stop, _shared_metrics(len(listeners)):
        workers = [Worker(i + 1, share, listener, quiet) for i, listener in enumerate(listeners)]
        try:
            while not stop.poll():
                _attend(workers, stop, on_ready)
        finally:
            for listener in listeners:
                listener.close()
            _end(workers, settings.timeout + GRACE)
        if stop.recv() == signal.SIGINT:
            raise KeyboardInterrupt


def _attend(workers: Sequence[Worker], stop: Connection, on_ready: Callable[[Facts], None]) -> None:
    """Wait until a worker says something or dies, or a signal arrives, and do what follows."""
    ready = wait([stop, *(worker.link for worker in workers)])
    if stop in ready:
        return
    for worker in [one for one in workers if one.link in ready]:
        said = worker.hear()
        starting = any(one.facts is None for one in workers)
        if said is None:
            end = worker.bury()
            if starting or worker.short_lives >= MAX_SHORT_LIVES:
                when = "while it started"
                if not starting:
                    when = f"{MAX_SHORT_LIVES} times in a row within {SHORT_LIFE:g} s of its start"
                raise RecrouteError(
                    f"worker {worker.number} died {when} ({end}), so the service has stopped; the lines before say "
                    "why, or there is too little memory for so many --workers"
                )
            log.error("worker %d died (%s) and is started again", worker.number, end)
            worker.start()
        elif said == RELOAD:
            for other in workers:
                if other is not worker:
                    with suppress(OSError):  # it has died, and will load the new router
                        other.link.send(RELOAD)
        elif isinstance(said, str):  # why it cannot start
            if starting:
                raise RecrouteError(said)
            log.error("worker %d cannot start: %s", worker.number, said)
        else:
            log.info("worker %d is ready, process %d", worker.number, worker.process.pid)
            worker.facts = said
            if starting and all(one.facts is not None for one in workers):
                on_ready(workers[0].facts or {})


def _end(workers: Sequence[Worker], patience: float) -> None:
    """End all workers after the requests under way, in this many seconds."""
    for worker in workers:
        worker.process.terminate()
    until = time.monotonic() + patience
    for worker in workers:
        worker.process.join(max(0.0, until - time.monotonic()))
        if worker.process.exitcode is None:
            log.error("worker %d did not end in time and is killed", worker.number)
            worker.process.kill()
            worker.process.join()
        worker.link.close()


@contextmanager
def _stop_signals() -> Iterator[Connection]:
    """SIGTERM and SIGINT as numbers that can be received."""
    context = get_context("spawn")
    received, sent = context.Pipe(duplex=False)
    before = {
        number: signal.signal(number, lambda number, _: sent.send(number)) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _shared_metrics(n_workers: int) -> Iterator[None]:
    """A folder in which the workers count, see `Metrics`; a full one would kill them."""
    from recroute.serve.metrics import SHARED

    with ExitStack() as opened:
        try:
            folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="recroute-metrics-"))
            has_room = shutil.disk_usage(folder).free >= n_workers * ROOM
        except OSError:
            has_room = False
        if not has_room:
            raise RecrouteError(
                f"no temporary folder has room for the metrics of {n_workers} workers; set TMPDIR to a folder with "
                f"{n_workers * ROOM // 1_000_000} MB, or leave out --workers"
            )
        os.environ[SHARED] = folder
        try:
            yield
        finally:
            del os.environ[SHARED]


def _work(number: int, settings: ServeSettings, listener: socket.socket, quiet: bool, link: Connection) -> None:
    """The life of a worker, in its own process."""
    from recroute.serve.app import create_app
    from recroute.serve.log import configure
    from recroute.serve.run import run

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its workers
    configure(settings.access_log, quiet)
    with on_command_line():  # a process of its own knows nothing of its parent's command
        try:
            app = create_app(settings, number, lambda: link.send(RELOAD))
        except RecrouteError as error:
            link.send(str(error))
            raise SystemExit(2) from None
        service = app.state.service
        threading.Thread(target=_follow, args=(link, service.load), daemon=True).start()
        link.send(service.facts())
        run(app, listener, patience=settings.timeout)


def _follow(link: Connection, load: Callable[[], bool]) -> None:
    """Load the router when another worker has; end this worker when the parent has died."""
    with suppress(EOFError, OSError):
        while True:
            link.recv()
            with suppress(RecrouteError):  # the log and /healthz say why
                load()
    os.kill(os.getpid(), signal.SIGTERM)
