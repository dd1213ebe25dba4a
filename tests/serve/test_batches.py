"""Requests that wait are answered together, as each would be alone."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from recroute.routers.svd import SVD

MakeClient = Callable[..., TestClient]
Eventually = Callable[[Callable[[], object]], None]


class Ranked(list[list[str]]):
    """The prompts of each call of the router."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go, rank = threading.Event(), SVD.rank

        def watched(router: SVD, instances: Any, *arguments: Any, **more: Any) -> Any:
            if not isinstance(instances, list):  # which the check at load gives
                self.append(list(instances.texts))
                assert self.go.wait(60)
                if "broken" in instances.texts:
                    raise ZeroDivisionError
            return rank(router, instances, *arguments, **more)

        monkeypatch.setattr(SVD, "rank", watched)


@contextmanager
def asked(client: TestClient, ranked: Ranked, eventually: Eventually, *bodies: dict[str, Any]) -> Iterator[list[Any]]:
    """Answers to requests that all wait while the only thread answers another."""
    with ThreadPoolExecutor(len(bodies) + 1) as pool:
        first = pool.submit(client.post, "/route", json={"prompt": "first"})
        eventually(lambda: ranked == [["first"]])
        waiting = [pool.submit(client.post, "/route", json=body) for body in bodies]
        batches = client.app.state.service.batches  # type: ignore[attr-defined]
        eventually(lambda: sum(map(len, batches._waiting.values())) == len(bodies))
        ranked.go.set()
        assert first.result().status_code == 200
        yield [one.result() for one in waiting]


def test_requests_that_wait_are_answered_together_as_each_would_be_alone(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, eventually: Eventually, tmp_path: Path
) -> None:
    ranked, client = Ranked(monkeypatch), make_client(threads=1, timeout=60, feedback_dir=tmp_path)
    bodies: list[dict[str, Any]] = [{"prompt": f"multiply the integers {i}"} for i in range(9)]
    bodies += [{"prompt": ["translate the sentence", "compile"]}, {"prompt": "x", "k": 2}, {"prompt": "y", "k": 2}]
    with asked(client, ranked, eventually, *bodies) as answers:
        assert sorted(map(len, ranked)) == [1, 2, 11]  # those of two LLMs are another batch
        alone = [client.post("/route", json=body) for body in bodies]
    routes, expected = ([route for one in found for route in one.json()["routes"]] for found in (answers, alone))
    for one, other in zip(routes, expected, strict=True):
        assert [llm["llm_id"] for llm in one["llms"]] == [llm["llm_id"] for llm in other["llms"]]
        scores = [[llm["predicted_score"] for llm in route["llms"]] for route in (one, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert len({route["decision_id"] for route in routes + expected}) == 26
    assert "recroute_routing_seconds_count 25.0" in client.get("/metrics").text


def test_one_that_fails_fails_alone(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    ranked, client = Ranked(monkeypatch), make_client(threads=1, timeout=60)
    bodies = [{"prompt": text} for text in ("a", "broken", "b")]
    with asked(client, ranked, eventually, *bodies) as answers:
        assert [answer.status_code for answer in answers] == [200, 500, 200]


def test_a_batch_is_not_too_large(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    ranked, client = Ranked(monkeypatch), make_client(threads=1, timeout=60)
    monkeypatch.setattr("recroute.serve.batches.MAX_WORK", 1000)
    with asked(client, ranked, eventually, *[{"prompt": "x" * 300} for _ in range(7)]) as answers:
        assert [answer.status_code for answer in answers] == [200] * 7
    assert sorted(map(len, ranked)) == [1, 1, 3, 3]
