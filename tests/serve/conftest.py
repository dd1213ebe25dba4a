"""A small fitted router, applications that serve it, and the real server in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from recroute.routers import make_router
from recroute.serve import ServeSettings, create_app
from recroute.testing import planted_dataset

MakeClient = Callable[..., TestClient]
Start = Callable[..., "Server"]


@pytest.fixture(scope="session")
def router_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An svd router of six LLMs, not to be changed."""
    path = tmp_path_factory.mktemp("served") / "router"
    make_router("svd", n_factors=2).fit(planted_dataset()).save(path)
    return path


@pytest.fixture
def make_client(router_dir: Path) -> Iterator[MakeClient]:
    """Clients of an application in this process, by settings."""
    opened = []

    def make(**settings: Any) -> TestClient:
        app = create_app(ServeSettings(**{"router_dir": router_dir, "poll": 0.0, **settings}))
        opened.append(client := TestClient(app, raise_server_exceptions=False))
        client.__enter__()
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


class Server:
    """`recroute serve` in another process."""

    def __init__(self, router_dir: Path, scratch: Path, *options: str, env: dict[str, str] | None = None) -> None:
        ready = scratch / f"ready-{time.monotonic_ns()}.json"
        arguments = ["serve", str(router_dir), "--port", "0", "--json", str(ready), *options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "recroute", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        until = time.monotonic() + 60
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(self.process.communicate()[1])
            time.sleep(0.02)
        self.facts = json.loads(ready.read_text("utf8"))
        self.url = self.facts["url"]
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Exit code, output and errors."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(how)
        out, error = self.process.communicate(timeout=30)
        return self.process.returncode, out, error


@pytest.fixture
def start(tmp_path: Path, router_dir: Path) -> Iterator[Start]:
    """Servers in processes of their own, by options."""
    started: list[Server] = []

    def begin(*options: str, folder: Path = router_dir, **more: Any) -> Server:
        started.append(Server(folder, tmp_path, *options, **more))
        return started[-1]

    yield begin
    for server in started:
        server.stop(signal.SIGKILL)
