"""The OpenAPI document, and requests made from it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from recroute.serve import ServeSettings, create_app

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
LIMITS = settings(
    max_examples=50,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def client(router_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("feedback")
    app = create_app(ServeSettings(router_dir=router_dir, feedback_dir=folder, explore="epsilon:0.5", seed=0, poll=0))
    with TestClient(app, raise_server_exceptions=False) as found:
        yield found


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/route"),
        ("POST", "/feedback"),
        ("POST", "/reload"),
        ("GET", "/llms"),
        ("GET", "/healthz"),
        ("GET", "/"),
        ("GET", "/metrics"),
    ],
)
def test_no_request_made_from_the_document_is_a_5xx(client: TestClient, method: str, path: str) -> None:
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    operation, statuses = schema[path][method], set[int]()
    modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
    for mode in modes if method == "POST" and path != "/reload" else modes[:1]:

        @given(case=operation.as_strategy(generation_mode=mode))
        @LIMITS
        def check(case: schemathesis.Case) -> None:
            request = case.as_transport_kwargs(base_url="http://testserver")
            assert not request.pop("cookies")
            if "data" in request:
                request["content"] = request.pop("data")
            response = client.request(**request)
            statuses.add(response.status_code)
            case.validate_response(response, checks=list(CHECKS))

        check()
    assert (404 if path == "/feedback" else 200) in statuses  # some were good: a decision has to be made up
    assert 422 in statuses or method == "GET" or path == "/reload"


def test_the_document_describes_itself(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) == {"/", "/route", "/llms", "/feedback", "/healthz", "/metrics", "/reload"}
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            assert operation["description"]
            errors = {status: body for status, body in operation["responses"].items() if status != "200"}
            for body in errors.values():
                assert body["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}
    for name in ("RouteRequest", "FeedbackRequest", "Routed"):
        for place, value in document["components"]["schemas"][name]["properties"].items():
            assert value["description"], (name, place)
    assert "HTTPValidationError" not in json.dumps(document)
