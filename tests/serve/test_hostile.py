"""Made-up decision ids, damaged files, requests that mean harm: the trouble of who sent them, and of nobody else."""

import json
import os
import shutil
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from recroute.errors import RecrouteError
from recroute.routers.svd import SVD
from recroute.serve.errors import ServeError
from recroute.serve.feedback import FeedbackLog
from recroute.serve.lines import LineLog
from recroute.serve.live import LiveRouter
from recroute.serve.schemas import FeedbackRequest, RouteRequest

MakeClient = Callable[..., TestClient]
# as commit 7040c13 wrote them, of prompts with and without a vector
OLD_FIRST = (
    '{"decision_id":"0-1899f6ad9d1ae20d","instance_id":"2d711642b726b044","llms":["llm-0","llm-2"],'
    '"router_version":"d997000e60aa5b95","time":"2026-11-28T06:02:35.370000+00:00"}\n'
)
OLD_IDS = ["0-1899f6ad9d1ae20d", f"{len(OLD_FIRST):x}-5f2a4b0c1d3e9f77"]
OLD_SECOND = (
    f'{{"decision_id":"{OLD_IDS[1]}","instance_id":"252f10c83610ebca","llms":["llm-1"],"propensity":0.5,'
    '"router_version":"d997000e60aa5b95","time":"2026-11-28T06:02:35.370000+00:00","vector":"AACAPwAAAEA=",'
    '"encoder":"of old"}\n'
)


def routed(client: TestClient, n: int) -> list[str]:
    """Ids of n decisions."""
    body = client.post("/route", json={"prompt": [f"multiply the integers number {i}" for i in range(n)]}).json()
    return [route["decision_id"] for route in body["routes"]]


def score(client: Any, decision_id: str, value: float = 1.0) -> httpx.Response:
    found: httpx.Response = client.post("/feedback", json={"decision_id": decision_id, "score": value})
    return found


def n_lines(path: Path) -> int:
    return len(path.read_bytes().splitlines())


def test_a_made_up_id_is_not_found_wherever_it_points(
    make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recroute.serve.service.UNKNOWN_ID_DELAY", 0.0)
    client = make_client(feedback_dir=tmp_path)
    ids = routed(client, 3)
    assert [score(client, one).status_code for one in ids] == [200] * 3
    name = ids[0].partition("-")[0]
    starts = [int(one.split("-")[1], 16) for one in ids]
    near = {max(0, start + step) for start in starts for step in range(-20, 21)}
    for start in sorted(near | {2**power for power in range(52)} | {2**52 - 1}):
        assert score(client, f"{name}-{start:x}-0123456789abcdef").status_code == 404, start
    chance = [one.split("-")[2] for one in ids]
    others = [
        f"{name}-0{starts[0]:x}-{chance[0]}",  # the same number, written otherwise
        f"{starts[0]:x}-{chance[0]}",  # of no server
        f"000000.1-{starts[0]:x}-{chance[0]}",  # of another
        f"{name}-{starts[1]:x}-{chance[0]}",
        f"{name}-{starts[2] + 1:x}-{chance[2]}",
        f"{name}-{starts[1]:x}-{chance[1][::-1]}",
    ]
    for one in others:
        assert score(client, one).status_code == 404, one
    battle = {"llm_a": "nobody", "llm_b": "llm-1", "outcome": "win"}
    made_up = {"decision_id": "1-0123456789abcdef", "preference": battle}
    assert client.post("/feedback", json=made_up).status_code == 404
    assert score(client, ids[0]).json()["duplicate"] is True
    assert n_lines(tmp_path / "records.jsonl") == 3


NO_IDS: list[object] = ["", "NaN", "-1-0123456789abcdef", "0x1-0123456789abcdef", "1_0-0123456789abcdef", "../records"]
NO_IDS += [
    "\u0661-0123456789abcdef",
    "0-0123456789ABCDEF",
    "0-0123456789abcdef\n",
    "0-0123456789abcdef\0",
    "0" * 100_000,
]
NO_IDS += ["f" * 14 + "-0123456789abcdef", 0, -1, 1.5, 10**300, True, None, [], ["0-0123456789abcdef"], {"0": "1"}]


@pytest.mark.parametrize("decision_id", NO_IDS, ids=lambda value: repr(value)[:30])
def test_what_is_no_id_is_refused_by_its_form(make_client: MakeClient, tmp_path: Path, decision_id: object) -> None:
    client = make_client(feedback_dir=tmp_path)
    answer = client.post("/feedback", json={"decision_id": decision_id, "score": 1.0})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("decision_id: ")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"decision_id": "ID", "score": 1}', "text/plain", 422),
        (b"decision_id=ID&score=1", "application/x-www-form-urlencoded", 422),
        (b'{"decision_id": "ID", "score": 1', "application/json", 400),
        (b'{"decision_id": "ID", "score": 1' + b"0" * 5000 + b"}", "application/json", 400),
        (b'{"decision_id": "ID", "score": 1' + b"0" * 400 + b"}", "application/json", 422),
        (b'{"decision_id": "ID", "score": -Infinity}', "application/json", 422),
        (b'{"decision_id": "ID", "score": "1"}', "application/json", 422),
        (b'{"decision_id": "ID", "score": 1, "cost": 1' + b"0" * 400 + b"}", "application/json", 422),
        (b'{"decision_id": "ID", "score": [[[[[[1]]]]]]}', "application/json", 422),
        (b'{"decision_id": "ID", "score": 1, "llm_id": "' + b"x" * 1001 + b'"}', "application/json", 422),
        (b'[{"decision_id": "ID", "score": 1}]', "application/json", 422),
        (b'\xff{"decision_id": "ID", "score": 1}', "application/json", 400),
    ],
)
def test_a_bad_request_about_a_real_decision_leaves_it_as_it_is(
    make_client: MakeClient, tmp_path: Path, body: bytes, kind: str, status: int
) -> None:
    client = make_client(feedback_dir=tmp_path)
    (decision_id,) = routed(client, 1)
    answer = client.post("/feedback", content=body.replace(b"ID", decision_id.encode()), headers={"content-type": kind})
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "detail"}
    assert score(client, decision_id).json()["duplicate"] is False


def test_one_bad_item_fails_alone(make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All in one batch: they wait while the disk is busy with another."""
    client = make_client(feedback_dir=tmp_path)
    first, damaged, wrong, again, *good = routed(client, 14)
    assert score(client, again, 0.0).status_code == 200
    content = (tmp_path / "decisions.jsonl").read_bytes()
    at = content.index(damaged.encode())
    with (tmp_path / "decisions.jsonl").open("r+b") as file:
        file.seek(at + 30)
        file.write(b"\xff{garbage")
    busy, go, flush = threading.Event(), threading.Event(), os.fsync

    def wait(handle: int) -> None:
        busy.set()
        assert go.wait(20)
        flush(handle)

    monkeypatch.setattr("recroute.serve.lines.os.fsync", wait)
    log = client.app.state.service.feedback  # type: ignore[attr-defined]
    futures = {first: log.add(first, "score", {"score": 1.0})}
    assert busy.wait(20)
    futures |= {one: log.add(one, "score", {"score": 1.0}) for one in good[:5]}
    futures[damaged] = log.add(damaged, "score", {"score": 1.0})
    futures[wrong] = log.add(wrong, "score", {"score": 1.0, "llm_id": "nobody"})
    futures[again] = log.add(again, "score", {"score": 1.0})
    futures |= {one: log.add(one, "score", {"score": 1.0}) for one in good[5:]}
    go.set()
    problems = {one: future.exception(20) for one, future in futures.items()}
    statuses = {one: problem.status for one, problem in problems.items() if isinstance(problem, ServeError)}
    assert statuses == {damaged: 404, wrong: 422, again: 409}
    assert [problems[one] for one in (first, *good)] == [None] * 11
    assert n_lines(tmp_path / "records.jsonl") == 12


def test_honest_clients_lose_nothing_beside_hostile_ones(start: Callable[..., Any], tmp_path: Path) -> None:
    server = start("--feedback", str(tmp_path / "feedback"))
    done = threading.Event()

    def hostile(turn: int) -> set[int]:
        statuses = set()
        with httpx.Client(base_url=server.url, timeout=30) as client:
            ids = routed(client, 20)  # type: ignore[arg-type]
            assert score(client, ids[turn]).status_code == 200
            name, start, chance = ids[turn].split("-")
            step = -16
            while not done.is_set():
                step = step + 1 if step < 16 else -16
                if step:
                    statuses.add(score(client, f"{name}-{int(start, 16) + step:x}-{chance}").status_code)
        return statuses

    def honest(turn: int) -> list[tuple[int, Any]]:
        with httpx.Client(base_url=server.url, timeout=30) as client:
            answers = [score(client, routed(client, 1)[0]) for _ in range(60)]  # type: ignore[arg-type]
        return [(answer.status_code, answer.json().get("duplicate")) for answer in answers]

    with ThreadPoolExecutor(5) as pool:
        harming = [pool.submit(hostile, turn) for turn in range(1, 4)]
        giving = [pool.submit(honest, turn) for turn in range(2)]
        try:
            given = [one for future in giving for one in future.result()]
        finally:
            done.set()
        assert [future.result() for future in harming] == [{404}] * 3
    assert given == [(200, False)] * 120
    assert n_lines(tmp_path / "feedback" / "records.jsonl") == 123


def test_a_body_cut_short_is_nothing_to_others(start: Callable[..., Any], tmp_path: Path) -> None:
    server = start("--feedback", str(tmp_path / "feedback"), "--timeout", "3")
    with httpx.Client(base_url=server.url, timeout=30) as client:
        (decision_id,) = routed(client, 1)  # type: ignore[arg-type]
        body = json.dumps({"decision_id": decision_id, "score": 0.0}).encode()
        head = b"POST /feedback HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        for sent in (head % len(body), head % len(body) + body[:-1], head % 3_000_000 + body, b"POST /feedback HTTP/1"):
            with socket.create_connection(("127.0.0.1", server.facts["port"])) as connection:
                connection.sendall(sent)
        with socket.create_connection(("127.0.0.1", server.facts["port"])) as connection:
            connection.sendall(head % len(body) + body[:-1])  # and waits
            assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
        assert score(client, decision_id).json()["duplicate"] is False
    code, _, error = server.stop()
    assert code == 0
    assert all(" INFO st" in line for line in error.splitlines())  # it started and stopped


def test_decisions_of_earlier_commits_take_feedback(make_client: MakeClient, tmp_path: Path) -> None:
    (tmp_path / "decisions.jsonl").write_text(OLD_FIRST + OLD_SECOND, "utf8")
    record = {"decision_id": OLD_IDS[0], "instance_id": "2d711642b726b044", "llm_id": "llm-0", "score": 1.0}
    (tmp_path / "records.jsonl").write_text(json.dumps(record, separators=(",", ":")) + "\n", "utf8")
    client = make_client(feedback_dir=tmp_path)
    assert [score(client, one).json()["duplicate"] for one in OLD_IDS] == [True, False]
    last = json.loads((tmp_path / "records.jsonl").read_bytes().splitlines()[-1])
    assert (last["llm_id"], last["propensity"], last["vector"], last["encoder"]) == ("llm-1", 0.5, [1, 2], "of old")


def test_records_of_decisions_that_are_gone_do_not_stand_for_others(make_client: MakeClient, tmp_path: Path) -> None:
    """`decisions.jsonl` was moved away to save space, or the records are those of another server."""
    lines = [f'{{"decision_id":"{start:x}-ffffffffffffffff","score":0.0}}\n' for start in (0, 1, 2**51)]
    (tmp_path / "records.jsonl").write_text("".join(lines), "utf8")
    client = make_client(feedback_dir=tmp_path)
    assert [score(client, one).json()["duplicate"] for one in routed(client, 2)] == [False, False]


def test_garbage_in_the_files_is_nobodys_feedback(make_client: MakeClient, tmp_path: Path) -> None:
    (tmp_path / "decisions.jsonl").write_bytes(b"\0\xff{[\n\n" + b'{"decision_id":"7-0123456789abcdef",\n' + b"\0" * 99)
    (tmp_path / "records.jsonl").write_bytes(b"\xfe\n{}\n" + b'{"decision_id":"6-0123456789abcdef"\n[[[')
    (tmp_path / "preferences.jsonl").write_bytes(b"\n" * 5)
    client = make_client(feedback_dir=tmp_path)
    assert score(client, "7-0123456789abcdef").status_code == 404
    (decision_id,) = routed(client, 1)
    assert score(client, decision_id).json()["duplicate"] is False
    assert score(client, decision_id).json()["duplicate"] is True


def test_a_file_that_others_cut_or_write_to_is_gone_on_with(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(feedback_dir=tmp_path)
    before = routed(client, 2)
    assert score(client, before[0]).status_code == 200
    os.truncate(tmp_path / "decisions.jsonl", 0)  # as log rotation by copying does
    os.truncate(tmp_path / "records.jsonl", 0)
    after = routed(client, 2)
    assert [score(client, one).status_code for one in before] == [404, 404]
    with (tmp_path / "decisions.jsonl").open("a", encoding="utf8") as file:
        file.write("torn")
    with (tmp_path / "records.jsonl").open("a", encoding="utf8") as file:
        file.write("{}\n")
    after += routed(client, 1)
    assert [score(client, one).json()["duplicate"] for one in after] == [False] * 3
    assert [score(client, one).json()["duplicate"] for one in after] == [True] * 3
    assert n_lines(tmp_path / "decisions.jsonl") == 3


def test_nothing_is_acknowledged_where_the_folder_is_gone(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(feedback_dir=tmp_path / "feedback")
    (decision_id,) = routed(client, 1)
    shutil.rmtree(tmp_path / "feedback")
    for answer in (score(client, decision_id), client.post("/route", json={"prompt": "x"})):
        assert answer.status_code == 503
        assert "disk; try again later" in answer.json()["error"]
    assert client.get("/healthz").status_code == 200


def test_a_folder_that_cannot_be_used_is_one_line_and_is_let_go(tmp_path: Path) -> None:
    (tmp_path / "decisions.jsonl").mkdir()
    with pytest.raises(RecrouteError, match=r"feedback folder .*: Is a directory; name a writable folder"):
        FeedbackLog(tmp_path, "5f3a9c.1")
    (tmp_path / "decisions.jsonl").rmdir()
    FeedbackLog(tmp_path, "5f3a9c.1").close()


def test_a_line_starts_where_the_one_before_ends(tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_bytes(b"abab\nab\n")
    file = LineLog(tmp_path, "lines.jsonl")
    assert [start for start in range(-2, 12) if file.has(start, b"ab")] == [0, 5]
    assert [file.read(start) for start in (5, 7, 8, -1)] == [b"ab", b"", None, None]
    os.truncate(tmp_path / "lines.jsonl", 6)
    assert file.read(5) is None
    file.close()


MANY = dict.fromkeys(map(str, range(1000)))
FAULTY = [{"prompt": [1] * 1000}, {"prompt": "x", "llms": [None] * 1000}, {"prompt": "x", **MANY}]


@pytest.mark.parametrize("given", [*FAULTY, {"decision_id": "0-0123456789abcdef", "preference": MANY}])
def test_a_body_is_refused_at_its_first_faults(given: dict[str, Any]) -> None:
    model = RouteRequest if "prompt" in given else FeedbackRequest
    with pytest.raises(ValueError, match="validation error") as refused:
        model.model_validate(given)
    assert refused.value.error_count() <= 5  # type: ignore[attr-defined]


def test_what_is_asked_to_be_explained_is_bounded(make_client: MakeClient) -> None:
    answer = make_client().post("/route", json={"prompt": ["x"] * 201, "k": 50, "explain": True})
    assert answer.status_code == 422
    assert "10050 LLMs are more than 10000 to explain at once" in answer.json()["error"]


def test_a_small_request_does_not_wait_behind_large_ones(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, busy, rank = threading.Event(), threading.Event(), SVD.rank

    def slow(self: SVD, instances: Any, *arguments: Any, **more: Any) -> Any:
        if len(instances) == 10:
            busy.set()
            assert go.wait(20)
        return rank(self, instances, *arguments, **more)

    monkeypatch.setattr(SVD, "rank", slow)
    client = make_client(threads=1, timeout=20)
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(client.post, "/route", json={"prompt": ["x" * 6000] * 10})
        assert busy.wait(20)
        try:
            assert client.post("/route", json={"prompt": "x"}).status_code == 200
        finally:
            go.set()
        assert large.result().status_code == 200


def test_reloading_what_has_not_changed_reads_nothing(router_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = LiveRouter(router_dir)
    monkeypatch.setattr("recroute.serve.live.load_checked", lambda *_: pytest.fail("it was read"))
    assert live.reload() is False
