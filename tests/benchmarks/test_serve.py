"""Opt-in: `pytest tests/benchmarks/test_serve.py -s`. `recroute serve` under load from another process over loopback.

Prints figures; the machine decides them, so nothing timed is asserted. The client is plain sockets in this process, and
what it costs is printed: on a machine of few cores it takes its share of them. CPU times are those of the processes,
which say on a busy machine what the wall clock cannot.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from recroute.data.sources import simulate
from recroute.routers import make_router

M = 1000
SECONDS = float(os.environ.get("RECROUTE_SECONDS", "4"))  # of each measurement
MINUTES = float(os.environ.get("RECROUTE_MINUTES", "1"))  # of mixed load
ROUTER = os.environ.get("RECROUTE_ROUTER", "svd")


class Served:
    """The server's processes, and what the system says of them."""

    def __init__(self, router: Path, *options: str) -> None:
        ready = router.parent / f"ready-{time.monotonic_ns()}.json"
        arguments = ["serve", str(router), "--port", "0", "--json", str(ready), "--quiet", *options]
        self.process = subprocess.Popen([sys.executable, "-m", "recroute", *arguments])
        while not ready.exists():
            assert self.process.poll() is None
            time.sleep(0.05)
        facts = json.loads(ready.read_text("utf8"))
        self.port, self.url, self.workers = facts["port"], facts["url"], facts["workers"]

    @property
    def _pids(self) -> list[int]:
        """The process and its workers."""
        pid = self.process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text("utf8").split())]

    @property
    def cpu(self) -> float:
        stats = [Path(f"/proc/{pid}/stat").read_text("utf8").rpartition(")")[2].split() for pid in self._pids]
        return sum(int(fields[11]) + int(fields[12]) for fields in stats) / os.sysconf("SC_CLK_TCK")

    @property
    def memory(self) -> float:
        """Resident, in MB."""
        pages = [int(Path(f"/proc/{pid}/statm").read_text("utf8").split()[1]) for pid in self._pids]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def metric(self, name: str) -> float:
        text = httpx.get(self.url + "/metrics").text
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served") / "router"
    make_router(ROUTER).fit(simulate(n_llms=M, n_instances=600)).save(path)
    return path


@pytest.fixture(params=[1, 2])
def served(router: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    """A server with one and with two workers."""
    found = Served(router, "--workers", str(request.param))
    yield found
    found.stop()


def message(path: str, content: Any) -> bytes:
    body = json.dumps(content).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith(b"http/1.1 200"), head
    at = head.index(b"content-length:") + 15
    return await reader.readexactly(int(head[at : head.index(b"\r\n", at)]))


async def load(
    port: int, requests: list[bytes], n_connections: int, *, seconds: float = 1e9, n: int = 10**9
) -> list[float]:
    """Latencies of requests, one after the other on each connection, until the time or the number is over."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(n_connections)]
    latencies: list[float] = []
    end, left = time.perf_counter() + seconds, iter(range(n))

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while time.perf_counter() < end and (i := next(left, None)) is not None:
            start = time.perf_counter()
            await ask(reader, writer, requests[i % len(requests)])
            latencies.append(time.perf_counter() - start)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(one(*connection) for connection in connections))
    return latencies


def prompts() -> list[str]:
    found = simulate(n_llms=5, n_instances=512, seed=1).prompts
    assert found is not None
    return list(found)


def faster() -> str:
    there = [name for name in ("httptools", "uvloop") if find_spec(name) is not None]
    return f"with {' and '.join(there)}" if there else "without httptools and uvloop, as in [dev]"


def test_rates_and_latencies(served: Served) -> None:
    """Requests a second, and where the time goes."""
    texts = prompts()
    single = [message("/route", {"prompt": text}) for text in texts]
    batch = [message("/route", {"prompt": texts[i : i + 64]}) for i in range(0, len(texts), 64)]
    asyncio.run(load(served.port, single + batch, 4, n=1000))
    print(f"\n{ROUTER}, {M} LLMs, {np.mean([len(text) for text in texts]):.0f} characters a prompt, {faster()}")
    print(f"{served.workers} workers, {served.memory:.0f} MB")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {SECONDS:g} s each; times in ms of a request")
    columns = (("", 10), ("conn.", 5), ("req/s", 7), ("prompts/s", 9), ("p50", 7), ("p99", 8))
    columns += (("CPU", 6), ("recroute", 8), ("client", 7))
    print(" ".join(name.rjust(width) for name, width in columns))
    for name, requests, size in (("single", single, 1), ("64 prompts", batch, 64)):
        for n_connections in (1, 8, 64):
            cpu, own = served.cpu, time.process_time()
            inside, n_before = (
                served.metric("recroute_routing_seconds_sum"),
                served.metric("recroute_routing_seconds_count"),
            )
            start = time.perf_counter()
            latencies = asyncio.run(load(served.port, requests, n_connections, seconds=SECONDS))
            wall = time.perf_counter() - start
            own, cpu, n = time.process_time() - own, served.cpu - cpu, len(latencies)
            inside = served.metric("recroute_routing_seconds_sum") - inside
            assert served.metric("recroute_routing_seconds_count") - n_before == n
            p50, p99 = np.percentile(latencies, [50, 99]) * 1e3
            print(
                f"{name:>10} {n_connections:>5} {n / wall:>7.0f} {size * n / wall:>9.0f} {p50:>7.2f} {p99:>8.2f} "
                f"{1e3 * cpu / n:>6.2f} {1e3 * inside / n:>8.2f} {1e3 * own / n:>7.2f}"
            )
    print("CPU: of the server; recroute: a request's share of encoding and ranking, by the wall clock; client: its CPU")


@pytest.mark.parametrize("with_feedback", [False, True])
def test_memory_after_1000_and_100000_requests(router: Path, tmp_path: Path, with_feedback: bool) -> None:
    served = Served(router, *(["--feedback", str(tmp_path), "--explore", "epsilon:0.05"] if with_feedback else []))
    texts = [f"{text} {i}" for i, text in enumerate(prompts() * 4)]
    requests = [message("/route", {"prompt": text, "k": 3}) for text in texts]
    print(f"\n{'with feedback and exploration' if with_feedback else 'without feedback'}: MB resident after requests")
    done = 0
    for n in (1000, 10_000, 50_000, 100_000):
        asyncio.run(load(served.port, requests, 16, n=n - done))
        done = n
        print(f"{n:>8} {served.memory:>8.1f}")
    if with_feedback:
        print(f"decisions.jsonl: {(tmp_path / 'decisions.jsonl').stat().st_size / done:.0f} bytes a decision")
    served.stop()


def test_feedback(router: Path, tmp_path: Path) -> None:
    """Records on disk a second, each flushed before it is acknowledged."""
    served = Served(router, "--feedback", str(tmp_path))
    print("\nfeedback: connections, acknowledged a second, p50 and p99 in ms")
    for n_connections in (1, 8, 64):
        answer = httpx.post(served.url + "/route", json={"prompt": [f"prompt {i}" for i in range(250)]}).json()
        more = httpx.post(served.url + "/route", json={"prompt": [f"prompt {i}" for i in range(250)]}).json()
        ids = [route["decision_id"] for route in answer["routes"] + more["routes"]]
        requests = [message("/feedback", {"decision_id": name, "score": 1.0}) for name in ids]
        start = time.perf_counter()
        latencies = asyncio.run(load(served.port, requests, n_connections, n=len(requests)))
        rate = len(requests) / (time.perf_counter() - start)
        p50, p99 = np.percentile(latencies, [50, 99]) * 1e3
        print(f"{n_connections:>5} {rate:>7.0f} {p50:>7.2f} {p99:>8.2f}")
    served.stop()


def test_mixed_load(router: Path, tmp_path: Path) -> None:
    """Routes, feedback, reloads and refreshes for RECROUTE_MINUTES: each response is 200; memory is printed."""
    folder, kept = tmp_path / "router", tmp_path / "feedback"
    shutil.copytree(router, folder)
    served = Served(folder, "--feedback", str(kept), "--explore", "epsilon:0.05", "--rotate", "20MB")
    texts, ids, n = prompts(), deque[str](maxlen=10_000), Counter[str]()
    start = time.monotonic()

    def is_on(margin: float = 0) -> bool:
        return time.monotonic() < start + 60 * MINUTES - margin

    async def repeat(name: str, pause: float, make: Callable[[int], bytes]) -> None:
        while is_on():
            await asyncio.sleep(pause)
            if name == "feedback" and not ids:
                continue
            request = make(n[name])
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            answer = json.loads(await ask(reader, writer, request))  # fails unless it is a 200
            writer.close()
            n[name] += 1
            ids.extend(route["decision_id"] for route in answer.get("routes", ()))

    async def refresh() -> None:
        while is_on(margin=60):
            await asyncio.sleep(45)
            command = [sys.executable, "-m", "recroute", "refresh", str(folder), "--records", str(kept), "--quiet"]
            process = await asyncio.create_subprocess_exec(*command)
            assert await process.wait() == 0
            n["refreshes"] += 1

    async def watch() -> None:
        while is_on():
            print(f"{time.monotonic() - start:>6.0f} s {served.memory:>7.1f} MB {dict(n)}", flush=True)
            await asyncio.sleep(60)

    async def everything() -> None:
        await asyncio.gather(
            *(repeat("routes", 0.03, lambda i: message("/route", {"prompt": f"{texts[i % 512]} {i}"})) for _ in "1234"),
            repeat("batches", 1, lambda i: message("/route", {"prompt": texts[i % 400 :][:16], "explain": True})),
            *(repeat("feedback", 0.02, lambda i: score(ids.popleft(), i % 2)) for _ in "12"),
            repeat("reloads", 10, lambda _: message("/reload", {})),
            refresh(),
            watch(),
        )

    def score(decision_id: str, value: int) -> bytes:
        return message("/feedback", {"decision_id": decision_id, "score": value})

    try:
        asyncio.run(everything())
        n_reloads = served.metric('recroute_router_reloads_total{outcome="changed"}')
        print(f"{time.monotonic() - start:>6.0f} s {served.memory:>7.1f} MB {dict(n)}; {n_reloads:.0f} routers loaded")
    finally:
        served.stop()
