"""Paths below a prefix: behind a proxy that removes it or not, mounted in another application, set by the server."""

import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from recroute.errors import RecrouteError
from recroute.serve import ServeSettings, create_app
from recroute.serve.app import Service

MakeClient = Callable[..., TestClient]
AUTHORIZED = {"Authorization": "Bearer secret"}
OPEN = ("/", "/healthz", "/docs", "/docs/", "/openapi.json")


@pytest.fixture(params=["removed", "kept", "mounted", "by the server", "prefix of a path"])
def below(
    request: pytest.FixtureRequest, make_client: MakeClient, router_dir: Path
) -> Iterator[tuple[TestClient, str]]:
    """A client of a service below a prefix, and what the client writes before each path."""
    way = request.param
    if way == "mounted":
        served = create_app(ServeSettings(router_dir=router_dir, token="secret", poll=0))
        app = FastAPI(lifespan=served.router.lifespan_context)
        app.mount("/router", served)
        with TestClient(app) as client:
            yield client, "/router"
    elif way == "by the server":
        yield TestClient(make_client(token="secret").app, root_path="/router"), "/router"
    else:
        root = "/route" if way == "prefix of a path" else "/router"
        yield make_client(token="secret", root_path=root), root if way == "kept" else ""


def test_paths_tokens_and_metrics_are_the_same_below_a_prefix(below: tuple[TestClient, str]) -> None:
    client, before = below
    for path in OPEN:
        assert client.get(before + path, follow_redirects=False).status_code == 200, path
    for path in ("/metrics", "/llms", "/nothing", "/docs/nothing", "/docs/../llms", "/docs//llms"):
        assert client.get(before + path).status_code == 401, path
    routed = client.post(before + "/route/", json={"prompt": "x"}, headers=AUTHORIZED, follow_redirects=False)
    assert routed.status_code == 200
    text = client.get(before + "/metrics", headers=AUTHORIZED).text
    assert 'recroute_http_requests_total{path="/route",status="200"} 1.0' in text
    assert 'recroute_http_requests_total{path="/healthz",status="200"} 1.0' in text


def test_links_carry_the_prefix(make_client: MakeClient) -> None:
    client = make_client(root_path="/router")
    assert client.get("/").json() == {
        "service": "recroute",
        "docs": "/router/docs",
        "openapi": "/router/openapi.json",
    }
    page = client.get("/docs").text
    assert "'/router/openapi.json'" in page.replace('"', "'")
    assert client.get("/openapi.json").json()["servers"] == [{"url": "/router"}]
    assert client.get("/nothing").json()["error"] == "no such path; see /router/docs"
    assert client.get("/router/nothing").json()["error"] == "no such path; see /router/docs"


@pytest.mark.skipif(find_spec("fastapi_offline") is None, reason="needs fastapi-offline, which is in [serve] and [dev]")
def test_the_documentation_needs_nothing_from_elsewhere(make_client: MakeClient) -> None:
    client = make_client(root_path="/router", token="secret")
    page = client.get("/router/docs").text
    assert "http" not in page
    files = [place for place in re.findall(r'(?:src|href)="([^"]*)"', page) if not place.startswith("data:")]
    assert sorted(files) == ["/router/docs/swagger-ui-bundle.js", "/router/docs/swagger-ui.css"]
    for place, kind in zip(sorted(files), ("javascript", "css"), strict=True):
        answer = client.get(place)
        assert answer.status_code == 200
        assert kind in answer.headers["content-type"]
    assert client.get("/docs/redoc.standalone.js", headers=AUTHORIZED).status_code == 404


def test_a_mounted_service_watches_its_folder_and_is_closed(
    router_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    watch, close = Service.watch, Service.close
    monkeypatch.setattr(Service, "watch", lambda self: seen.append("watched") or watch(self))
    monkeypatch.setattr(Service, "close", lambda self: seen.append("closed") or close(self))
    served = create_app(ServeSettings(router_dir=router_dir, feedback_dir=tmp_path))
    app = FastAPI(lifespan=served.router.lifespan_context)
    app.mount("/router", served)
    with TestClient(app) as client:
        (route,) = client.post("/router/route", json={"prompt": "x"}).json()["routes"]
        given = {"decision_id": route["decision_id"], "score": 1.0}
        assert client.post("/router/feedback", json=given).status_code == 200
    assert seen == ["watched", "closed"]


@pytest.mark.parametrize("prefix", ["router", "/", "/router/", "//elsewhere.org", "/a b", "/a?b", "https://x/router"])
def test_a_prefix_that_is_none_is_refused(router_dir: Path, prefix: str) -> None:
    with pytest.raises(RecrouteError, match="is not a prefix such as /router"):
        ServeSettings(router_dir=router_dir, root_path=prefix)
