"""The server process: listening socket, signals, threads."""

from __future__ import annotations

import gc
import logging
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import uvicorn
from fastapi import FastAPI
from threadpoolctl import threadpool_limits

from recroute.errors import RecrouteError


@contextmanager
def bind_shared(host: str, port: int, n: int) -> Iterator[list[socket.socket]]:
    """Several listening sockets on one port, among which the system spreads connections; errors as for `bind`."""
    with bind(host, port) as first:  # finds a free port, and refuses one that another program uses
        port = first.getsockname()[1]
    with ExitStack() as opened:
        yield [opened.enter_context(bind(host, port, shared=True)) for _ in range(n)]


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket, perhaps one of several; RecrouteError if the address is invalid or in use."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise RecrouteError(f"host {host!r} is not an address of this machine: {error}") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise RecrouteError(f"cannot listen on {host} port {port}: {error.strerror}; name another --port") from None
    return listener


def run(app: FastAPI, listener: socket.socket, *, patience: float) -> None:
    """Serve until SIGTERM, after which it returns, or Ctrl-C, after which it raises KeyboardInterrupt.

    In both cases running requests are answered first, for at most `patience` seconds. BLAS is limited to one thread,
    because requests run in parallel.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=max(1, round(patience)),
    )
    # uvicorn raises the signal again when it is done; by then SIGTERM has been handled.
    before, thresholds = signal.signal(signal.SIGTERM, lambda *_: None), gc.get_threshold()
    gc.set_threshold(50_000, 10, 10)  # with the default, a body of 10^6 brackets blocks the event loop for a second
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        gc.set_threshold(*thresholds)
        gc.freeze()  # the process ends: a last collection would take half a second
        signal.signal(signal.SIGTERM, before)
