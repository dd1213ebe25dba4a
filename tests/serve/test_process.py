"""The server as a process: what is on disk after kill -9, how it stops, what it says."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from recroute.cli.app import run

Start = Callable[..., Any]
Eventually = Callable[[Callable[[], object]], None]


def test_every_acknowledged_record_is_there_after_kill_9(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "feedback"
    server = start("--feedback", str(folder))
    prompts = [f"multiply the integers number {i}" for i in range(200)]
    routes = httpx.post(server.url + "/route", json={"prompt": prompts}, timeout=60).json()["routes"]
    ids = [route["decision_id"] for route in routes]
    acknowledged: list[str] = []

    def give(part: list[str]) -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            for decision_id in part:
                answer = client.post("/feedback", json={"decision_id": decision_id, "score": 1.0})
                assert answer.json() == {"decision_id": decision_id, "duplicate": False}
                acknowledged.append(decision_id)
                if len(acknowledged) >= 40:  # every client has some to give still
                    server.process.send_signal(signal.SIGKILL)

    with ThreadPoolExecutor(4) as pool:
        giving = [pool.submit(give, ids[i::4]) for i in range(4)]
        ends = [future.exception() for future in giving]
    assert all(isinstance(end, httpx.TransportError) for end in ends)
    assert server.process.wait(60) == -signal.SIGKILL
    with (folder / "records.jsonl").open("a", encoding="utf8") as file:
        file.write('{"decision_id": "tor')  # what a machine that fails in the middle may leave
    server = start("--feedback", str(folder))
    recorded = [json.loads(line)["decision_id"] for line in (folder / "records.jsonl").read_text("utf8").splitlines()]
    assert set(acknowledged) <= set(recorded)
    assert len(recorded) == len(set(recorded)) <= len(acknowledged) + 4  # and what was in flight
    again = httpx.post(server.url + "/feedback", json={"decision_id": acknowledged[0], "score": 1.0}, timeout=60)
    assert again.json()["duplicate"] is True
    assert "truncated a partial last line of 20 bytes" in server.stop()[2]


def accepts_connections(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=60):
        return True
    return False


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_answers_what_is_under_way_and_ends_in_order(
    start: Start, tmp_path: Path, how: signal.Signals, code: int, eventually: Eventually
) -> None:
    server = start("--feedback", str(tmp_path / "feedback"), "--timeout", "60")
    prompts = [f"multiply the integers number {i}" for i in range(256)]
    body = json.dumps({"prompt": prompts, "k": 6}).encode()
    head = f"POST /route HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", server.facts["port"])) as connection:
        connection.sendall(head.encode() + b"expect: 100-continue\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")  # the server waits for the body: it is under way
        connection.sendall(body[:-1])
        server.process.send_signal(how)
        eventually(lambda: not accepts_connections(server.facts["port"]))  # the signal has been heard
        connection.sendall(body[-1:])
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["routes"]) == 256
    exit_code, out, error = server.stop()
    assert exit_code == code
    assert f"svd(n_factors=2), 6 LLMs, version {server.facts['router_version']}: {server.url}" in out
    assert f"feedback: {tmp_path / 'feedback'}, without the prompts' texts" in out
    assert "Traceback" not in error
    assert len((tmp_path / "feedback" / "decisions.jsonl").read_text("utf8").splitlines()) == 256


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run(["serve", *map(str, arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("recroute: ")
    assert error.count("\n") == 1
    return error


def test_what_cannot_be_served_is_one_line(
    router_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = refused(capsys, router_dir, "--port", port)
        assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in error
    assert "no router at" in refused(capsys, tmp_path, "--port", 0)
    assert "not an address of this machine" in refused(capsys, router_dir, "--host", "no such host", "--port", 0)
    assert "add --feedback" in refused(capsys, router_dir, "--explore", "thompson")
    assert "is none of" in refused(capsys, router_dir, "--explore", "x", "--feedback", tmp_path / "f", "--port", 0)
    assert "timeout=0.0 must be more than 0" in refused(capsys, router_dir, "--timeout", 0)
    assert "is inside the router's folder" in refused(capsys, router_dir, "--feedback", router_dir / "feedback")
    (tmp_path / "token").write_text("\n", "utf8")
    assert "the token is empty" in refused(capsys, router_dir, "--token-file", tmp_path / "token")
    (tmp_path / "file").write_text("", "utf8")
    assert "is a file; name a folder" in refused(capsys, router_dir, "--feedback", tmp_path / "file", "--port", 0)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'recroute[serve]'" in refused(capsys, router_dir)


def test_the_token_is_from_the_environment_and_a_server_for_everybody_warns(
    router_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[FastAPI] = []
    monkeypatch.setattr("recroute.serve.run.run", lambda app, listener, patience: served.append(app))
    everybody = ["serve", str(router_dir), "--host", "0.0.0.0", "--port", "0"]
    assert run(everybody) == 0
    assert "warning: everybody who can reach 0.0.0.0 can use this service" in capsys.readouterr().out
    monkeypatch.setenv("RECROUTE_TOKEN", "of the environment")
    assert run(everybody) == 0
    assert "warning" not in capsys.readouterr().out
    (tmp_path / "token").write_text("of the file\n", "utf8")
    assert run([*everybody, "--token-file", str(tmp_path / "token")]) == 0
    tokens = [app.state.service.settings.token for app in served]
    assert tokens == [None, "of the environment", "of the file"]


def test_nothing_of_the_web_is_imported_before_it_is_needed() -> None:
    code = "import recroute.cli.app, sys; print([m for m in ('fastapi', 'uvicorn', 'pydantic') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, env=os.environ.copy()).strip() == "[]"
