"""Limits, tokens, and requests that mean no good: 4xx, one line, never a 5xx."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from recroute.routers.svd import SVD
from recroute.serve.metrics import MAX_LLM_LABELS, Metrics

MakeClient = Callable[..., TestClient]
Eventually = Callable[[Callable[[], object]], None]


def said(response: Any, status: int) -> str:
    """The one line of a refusal."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    line = response.json()["error"]
    assert response.json() == {"error": line, "detail": line}
    assert "\n" not in line
    assert len(line) <= 500
    return str(line)


def post(client: TestClient, body: str | bytes, path: str = "/route") -> Any:
    return client.post(path, content=body, headers={"content-type": "application/json"})


@pytest.mark.parametrize(
    ("body", "status", "line"),
    [
        ("", 422, "the body: Field required"),
        ("{", 400, "the body is not valid JSON"),
        ("null", 422, "the body"),
        ("[]", 422, "the body"),
        ("[" * 100_000, 400, ""),
        ('{"prompt":' * 50_000, 400, ""),
        (b"\xff\xfe\x00", 400, ""),
        ('{"prompt": null}', 422, "the body: give either"),
        ('{"prompt": []}', 422, "prompt: "),
        ('{"prompt": ["a", null]}', 422, "prompt"),
        ('{"prompt": 7}', 422, "prompt: Input should be a valid string"),
        ('{"prompt": "\\ud800"}', 422, "prompt: "),
        ('{"prompt": ["fine", "\\udfff"]}', 422, "prompt"),
        ('{"prompt": "x", "k": 0}', 422, "k: Input should be greater than or equal to 1"),
        ('{"prompt": "x", "k": 7}', 422, "k=7 does not fit a pool of 6 LLMs"),
        ('{"prompt": "x", "k": 1' + "0" * 5000 + "}", 400, ""),
        ('{"prompt": "x", "k": 1' + "0" * 500 + "}", 422, "k: "),
        ('{"prompt": "x", "k": 1.5}', 422, "k: "),
        ('{"prompt": "x", "k": NaN}', 422, "k: "),
        ('{"prompt": "x", "budget": NaN}', 422, "budget: "),
        ('{"prompt": "x", "budget": Infinity}', 422, "budget: "),
        ('{"prompt": "x", "budget": 1e999}', 422, "budget: "),
        ('{"prompt": "x", "llms": []}', 422, "llms: "),
        ('{"prompt": "x", "llms": ["nobody"]}', 422, "unknown llm 'nobody'; GET /llms lists those there are"),
        ('{"prompt": "x", "llms": ["\\ud800"]}', 422, "llms"),
        ('{"prompt": "x", "explain": "yes"}', 422, "explain: "),
        ('{"prompt": "x", "router_dir": "/etc"}', 422, "router_dir: Extra inputs are not permitted"),
    ],
)
def test_bad_requests_to_route(make_client: MakeClient, body: str | bytes, status: int, line: str) -> None:
    assert said(post(make_client(), body), status).startswith(line)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"score": 1.0},
        {"decision_id": "../../etc/passwd", "score": 1.0},
        {"decision_id": "0-0123456789abcdef"},
        {"decision_id": "0-0123456789abcdef", "score": 1.5},
        {"decision_id": "0-0123456789abcdef", "score": float("nan")},
        {"decision_id": "0-0123456789abcdef", "score": True},
        {"decision_id": "0-0123456789abcdef", "score": 1.0, "cost": -1},
        {"decision_id": "0-0123456789abcdef", "score": 1.0, "cost": float("inf")},
        {"decision_id": "0-0123456789abcdef", "preference": {"llm_a": "llm-0", "llm_b": "llm-0", "outcome": "win"}},
        {"decision_id": "0-0123456789abcdef", "preference": {"llm_a": "llm-0", "llm_b": "llm-1", "outcome": "lost"}},
        {
            "decision_id": "0-0123456789abcdef",
            "score": 1.0,
            "preference": {"llm_a": "llm-0", "llm_b": "llm-1", "outcome": "win"},
        },
    ],
)
def test_bad_feedback(make_client: MakeClient, tmp_path: Path, given: dict[str, Any]) -> None:
    client = make_client(feedback_dir=tmp_path)
    assert said(post(client, json.dumps(given), "/feedback"), 422)
    assert (tmp_path / "records.jsonl").read_text("utf8") == ""


def test_prompts_of_every_kind_are_routed(make_client: MakeClient) -> None:
    prompts = ["", " ", "\0", "\n\t", "𝕳😀", "ı̇" * 100, "\u202e", "a" * 50_000, "?" * 50_000, "\\ud800"]
    assert len(make_client().post("/route", json={"prompt": prompts}).json()["routes"]) == len(prompts)


def test_limits(make_client: MakeClient) -> None:
    client = make_client(max_body=1000, max_prompts=3, max_chars=50)
    assert "larger than 1000 bytes" in said(post(client, json.dumps({"prompt": "x" * 2000})), 413)
    pieces = client.post("/route", content=iter([b'{"prompt": "', *[b"x" * 100] * 20, b'"}']))  # of no stated length
    assert "larger than 1000 bytes" in said(pieces, 413)
    assert "4 prompts are more than 3" in said(client.post("/route", json={"prompt": ["x"] * 4}), 422)
    assert "51 characters is longer than 50" in said(client.post("/route", json={"prompt": "x" * 51}), 422)
    assert client.post("/route", json={"prompt": ["x" * 50] * 3}).status_code == 200


def test_unknown_paths_and_methods(make_client: MakeClient) -> None:
    client = make_client()
    assert "see /docs" in said(client.get("/nothing"), 404)
    assert "see /docs" in said(client.get("/../etc/passwd"), 404)
    answer = client.get("/route")
    assert "does not support the method" in said(answer, 405)
    assert answer.headers["allow"] == "POST"


def test_a_token_is_asked_for_everywhere_but_for_health_and_documentation(make_client: MakeClient) -> None:
    client = make_client(token="secret")
    for method, path in (
        ("POST", "/route"),
        ("POST", "/feedback"),
        ("POST", "/reload"),
        ("GET", "/llms"),
        ("GET", "/x"),
    ):
        for header in (
            {},
            {"Authorization": "Bearer secre"},
            {"Authorization": "secret"},
            {"Authorization": "Bearer é"},
        ):
            encoded = {name: value.encode("latin1") for name, value in header.items()}
            answer = client.request(method, path, headers=encoded)
            assert "requires a token" in said(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
    assert client.get("/metrics").status_code == 401
    assert {client.get(path).status_code for path in ("/", "/healthz", "/docs", "/openapi.json")} == {200}
    assert {client.head(path).status_code for path in ("/", "/healthz")} == {200}
    assert client.post("/route", json={"prompt": "x"}, headers={"Authorization": "Bearer secret"}).status_code == 200


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Makes routing wait until the event is set; the second call on, the first is the check at load."""
    go, route = threading.Event(), SVD.rank

    def rank(self: SVD, instances: Any, *arguments: Any, **more: Any) -> Any:
        if not (isinstance(instances, list) and len(instances) == 1):
            go.wait(60)
        return route(self, instances, *arguments, **more)

    monkeypatch.setattr(SVD, "rank", rank)
    return go


def test_what_takes_too_long_is_given_up_and_frees_its_thread_when_done(
    make_client: MakeClient, slow: threading.Event, eventually: Eventually
) -> None:
    client = make_client(timeout=0.2, threads=1, max_waiting=2)
    answer = client.post("/route", json={"prompt": "x"})
    assert "took longer than 0.2 s" in said(answer, 503)
    assert answer.headers["retry-after"] == "1"
    assert "took longer" in said(client.post("/route", json={"prompt": "y"}), 503)  # not begun: the thread is taken
    assert client.get("/healthz").status_code == 200
    slow.set()
    eventually(lambda: client.post("/route", json={"prompt": "z"}).status_code == 200)


def test_too_many_requests_are_refused_at_once(
    make_client: MakeClient, slow: threading.Event, eventually: Eventually
) -> None:
    client = make_client(timeout=60, threads=1, max_waiting=1)
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(client.post("/route", json={"prompt": "x"}))) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: len(answers) == 3)
    assert [said(answer, 503) for answer in answers] == [
        "too many requests are waiting for a thread; try again soon"
    ] * 3
    slow.set()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503, 503]


def test_a_defect_is_one_line_as_well(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    client = make_client()
    monkeypatch.setattr(SVD, "rank", lambda *_: 1 / 0)
    assert (
        said(client.post("/route", json={"prompt": "x"}), 500)
        == "a defect of recroute; the server's log has the details"
    )
    assert 'path="/route",status="500"} 1.0' in client.get("/metrics").text


def test_a_full_disk_refuses_feedback_and_leaves_no_half_line(
    make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(feedback_dir=tmp_path)
    (route,) = client.post("/route", json={"prompt": "x"}).json()["routes"]
    given = {"decision_id": route["decision_id"], "score": 1.0}

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("recroute.serve.lines.os.fsync", full)
        assert "could not be written to disk" in said(client.post("/feedback", json=given), 503)
    assert (tmp_path / "records.jsonl").read_text("utf8") == ""
    assert client.post("/feedback", json=given).json()["duplicate"] is False
    assert len((tmp_path / "records.jsonl").read_text("utf8").splitlines()) == 1


def test_labels_of_metrics_are_bounded() -> None:
    metrics = Metrics()
    metrics.count_routes([{"llm_id": f"llm-{i}"} for i in range(5000)], 0.1)
    text = metrics.text().decode()
    assert text.count("recroute_chosen_llm_total{") == MAX_LLM_LABELS + 1
    assert f'recroute_chosen_llm_total{{llm="other"}} {5000 - MAX_LLM_LABELS:.1f}' in text


def test_no_prompt_is_logged(make_client: MakeClient, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = make_client(feedback_dir=tmp_path)
    with caplog.at_level("DEBUG"):
        client.post("/route", json={"prompt": "xyzzy"})
        client.post("/route", json={"prompt": "xyzzy", "k": 99})
        post(client, '{"prompt": "xyzzy", }')
    assert "xyzzy" not in caplog.text
    assert all(b"xyzzy" not in file.read_bytes() for file in tmp_path.iterdir())
