"""Several workers on one port, as processes: one service to its clients, whatever is killed.

`RECROUTE_KILLS=20 pytest tests/serve/test_workers.py` kills more often than the default.
"""

import json
import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from test_process import accepts_connections, refused

from recroute.data.feedback import parts
from recroute.routers import make_router
from recroute.testing import planted_dataset

Start = Callable[..., Any]
Eventually = Callable[[Callable[[], object]], None]
KILLS = int(os.environ.get("RECROUTE_KILLS", "2"))


def workers_of(server: Any) -> list[int]:
    """Process ids of the workers; the first child of the parent tracks what Python's processes share."""
    found = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text("utf8").split()
    return [int(pid) for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended; one that nobody has waited for has no command line any more."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    return False


@contextmanager
def everybody(server: Any, n: int = 2) -> Iterator[dict[str, httpx.Client]]:
    """A client of each worker, by the worker's name."""
    found: dict[str, httpx.Client] = {}
    try:
        while len(found) < n:
            client = httpx.Client(base_url=server.url, timeout=60)
            name = client.get("/healthz").json()["worker"]
            if name in found:
                client.close()
            else:
                found[name] = client
        yield found
    finally:
        for client in found.values():
            client.close()


def test_workers_are_one_service(start: Start, tmp_path: Path, eventually: Eventually) -> None:
    router = tmp_path / "router"
    make_router("svd", n_factors=2).fit(planted_dataset()).save(router)
    options = ("--workers", "2", "--feedback", str(tmp_path / "feedback"), "--explore", "epsilon:0.5", "--seed", "5")
    server = start(*options, "--poll", "0", folder=router)
    assert server.facts["workers"] == 2
    assert server.facts["pid"] == server.process.pid
    with everybody(server) as clients:
        prompts = [f"multiply the integers number {i}" for i in range(100)]
        chosen, ids = [], {}
        for name, client in clients.items():
            routes = client.post("/route", json={"prompt": prompts}).json()["routes"]
            chosen.append([route["llm_id"] for route in routes])
            ids[name] = routes[0]["decision_id"]
            assert ids[name].startswith(f"{name}-")
        assert chosen[0] != chosen[1]  # each draws for itself
        for decision_id in ids.values():
            answers = [c.post("/feedback", json={"decision_id": decision_id, "score": 1.0}) for c in clients.values()]
            assert [answer.json()["duplicate"] for answer in answers] == [False, True]
        texts = [client.get("/metrics").text for client in clients.values()]
        for text in texts:
            assert "recroute_prompts_routed_total 200.0" in text.splitlines()
            assert 'recroute_feedback_total{duplicate="true",kind="score"} 2.0' in text.splitlines()
            assert text.count("\nrecroute_router_info{") == 1
        make_router("svd", n_factors=1).fit(planted_dataset(seed=1)).save(router)
        first, *others = clients.values()
        assert first.post("/reload").json()["changed"] is True
        new = first.get("/healthz").json()["router_version"]
        for client in others:
            eventually(lambda client=client: client.get("/healthz").json()["router_version"] == new)
    workers = workers_of(server)
    code, out, error = server.stop()
    assert (code, "Traceback" in error) == (0, False)
    assert ", 2 workers" in out
    assert not any(map(is_running, workers))


def test_nothing_acknowledged_is_lost_or_torn_when_workers_and_parents_are_killed(
    start: Start, tmp_path: Path, eventually: Eventually
) -> None:
    folder = tmp_path / "feedback"
    options = ("--workers", "2", "--feedback", str(folder), "--rotate", "20kB")
    servers = [start(*options)]
    decided: list[str] = []
    scored: list[str] = []
    done = threading.Event()

    def load(turn: int) -> None:
        """Route, and give feedback on what was routed before; a connection that breaks is made again."""
        n = 0
        while not done.is_set():
            with suppress(httpx.TransportError), httpx.Client(base_url=servers[-1].url, timeout=60) as client:
                while not done.is_set():
                    n += 1
                    (route,) = client.post("/route", json={"prompt": f"multiply {turn} {n}"}).json()["routes"]
                    decision_id = route["decision_id"]
                    decided.append(decision_id)
                    answer = client.post("/feedback", json={"decision_id": decision_id, "score": n % 2})
                    assert answer.status_code == 200, answer.text
                    scored.append(decision_id)

    with ThreadPoolExecutor(4) as pool:
        loading = [pool.submit(load, turn) for turn in range(4)]
        try:
            for kill in range(KILLS):
                before = len(scored)
                eventually(lambda before=before: len(scored) >= before + 30)
                if kill % 2 == 0:
                    killed = workers_of(servers[-1])[0]
                    os.kill(killed, signal.SIGKILL)
                    eventually(lambda killed=killed: killed not in (now := workers_of(servers[-1])) and len(now) == 2)
                else:
                    orphans = workers_of(servers[-1])
                    servers[-1].process.send_signal(signal.SIGKILL)
                    servers.append(start(*options))
                    eventually(lambda orphans=orphans: not any(map(is_running, orphans)))
        finally:
            done.set()
        for one in loading:
            one.result()
    workers = workers_of(servers[-1])
    servers[-1].process.send_signal(signal.SIGINT)
    assert servers[-1].process.wait(60) == 130
    assert not any(map(is_running, workers))
    assert not accepts_connections(servers[-1].facts["port"])
    found = {}
    for name in ("decisions.jsonl", "records.jsonl"):
        content = b"".join(path.read_bytes() for _, path in parts(folder, name))
        assert content.endswith(b"\n")
        found[name] = [json.loads(line)["decision_id"] for line in content.splitlines()]
        assert len(found[name]) == len(set(found[name]))
    assert set(decided) <= set(found["decisions.jsonl"])
    assert set(scored) <= set(found["records.jsonl"]) <= set(found["decisions.jsonl"])
    assert len(scored) >= 30 * KILLS


def test_a_worker_that_dies_again_and_again_ends_the_service_with_one_line(
    start: Start, tmp_path: Path, router_dir: Path
) -> None:
    shutil.copytree(router_dir, tmp_path / "router")
    server = start("--workers", "2", "--poll", "0", folder=tmp_path / "router")
    shutil.rmtree(tmp_path / "router")
    os.kill(workers_of(server)[0], signal.SIGKILL)
    assert server.process.wait(60) == 2
    error = server.process.stderr.read().splitlines()
    assert any("ERROR worker" in line and "cannot start: no router at" in line for line in error)
    assert error[-1].startswith("recroute: worker ")
    assert "died 3 times in a row within 10 s of its start (exit code 2), so the service has stopped" in error[-1]


def test_what_workers_cannot_serve_is_one_line(
    router_dir: Path, start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RuntimeError, match=r"^recroute: no router at [^\n]*\n$"):
        start("--workers", "2", "--quiet", folder=tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert "Address already in use" in refused(capsys, router_dir, "--workers", 2, "--port", port)


def test_workers_without_room_for_their_metrics_are_refused(
    router_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    line = refused(capsys, router_dir, "--workers", 2, "--port", 0)
    assert "set TMPDIR to a folder with 8 MB, or leave out --workers" in line
    usage = shutil.disk_usage(tmp_path)._replace(free=7_000_000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("recroute.serve.supervise.shutil.disk_usage", lambda folder: usage)
    assert "set TMPDIR to a folder with 8 MB" in refused(capsys, router_dir, "--workers", 2, "--port", 0)
    assert list(tmp_path.iterdir()) == []
