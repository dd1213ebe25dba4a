"""The log: start, requests, reload and stop as text or JSON; no prompts."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

MakeClient = Callable[..., TestClient]
Start = Callable[..., Any]


def requests(client: Any) -> None:
    client.post("/route", json={"prompt": "xyzzy"})
    client.post("/route?prompt=xyzzy", json={"prompt": "xyzzy", "k": 99})
    client.get("/no%0Awhere/" + "x" * 300)


def test_requests_are_logged_only_if_asked_for(make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        requests(make_client())
        requests(make_client(access_log="text", root_path="/router"))
    lines = [record.getMessage() for record in caplog.records if record.name == "recroute.access"]
    first, second, third = (re.fullmatch(r"testclient (.*) [\d.e-]+ ms", line) for line in lines)
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first[1], second[1]) == ("POST /route 200", "POST /route 422")
    assert third[1].startswith("GET /no%0Awhere/xxx")
    assert third[1].endswith("xxx 404")
    assert len(third[1]) < 250
    assert all("xyzzy" not in r.getMessage() for r in caplog.records if r.name.startswith("recroute"))


def test_a_log_in_json_is_json_from_start_to_stop(start: Start, tmp_path: Path, router_dir: Path) -> None:
    server = start("--access-log", "json", "--log-prompts", "--feedback", str(tmp_path / "feedback"))
    requests(server.client)
    code, out, error = server.stop()
    assert (code, out) == (0, "")
    lines = [json.loads(line) for line in error.splitlines()]
    assert [line["message"].split()[0] for line in lines] == ["listening", "started", *["127.0.0.1"] * 3, "stopped,"]
    assert lines[0]["url"] == server.url
    (routed,) = [line for line in lines if line.get("status") == 200]
    assert (routed["method"], routed["path"], routed["level"]) == ("POST", "/route", "INFO")
    assert routed["ms"] > 0
    assert "xyzzy" not in error


def test_metrics_need_the_token_unless_they_are_open(make_client: MakeClient) -> None:
    closed, opened = make_client(token="secret"), make_client(token="secret", open_metrics=True)
    assert [client.get("/metrics").status_code for client in (closed, opened)] == [401, 200]
    assert opened.get("/llms").status_code == 401
    paths = [client.get("/openapi.json").json()["paths"]["/metrics"]["get"] for client in (closed, opened)]
    assert ["security" in path for path in paths] == [True, False]
