"""Routes, LLMs, health, metrics, feedback, in one process."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from recroute.data.folder import read_records
from recroute.data.preferences import pair_table
from recroute.data.records import Records
from recroute.errors import RouterError, UnknownNameError
from recroute.routers import load_router, make_router
from recroute.routers.reference import predict_reference
from recroute.serve import ServeSettings, create_app
from recroute.serve.answer import instance_id
from recroute.testing import planted_dataset

MakeClient = Callable[..., TestClient]
PROMPT = "multiply the integers number 7"


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf8").splitlines()]


def test_an_answer_ranks_as_the_router_does(make_client: MakeClient, router_dir: Path) -> None:
    prompts = planted_dataset(seed=1).prompts
    assert prompts is not None
    served = make_client().post("/route", json={"prompt": prompts, "k": 3}).json()
    expected = load_router(router_dir).rank(prompts, 3)
    assert [[llm["llm_id"] for llm in route["llms"]] for route in served["routes"]] == expected.names
    scores = [[llm["predicted_score"] for llm in route["llms"]] for route in served["routes"]]
    np.testing.assert_allclose(scores, expected.predicted_score, atol=1e-6)
    assert all(set(route) == {"llm_id", "llms"} for route in served["routes"])  # no feedback, no decision
    assert len(served["router_version"]) == 16


def test_one_prompt_is_a_list_of_one_and_the_pool_can_be_restricted(make_client: MakeClient) -> None:
    client = make_client()
    body = client.post("/route", json={"prompt": PROMPT, "llms": ["llm-2", "llm-1", "llm-2"], "k": 2}).json()
    (route,) = body["routes"]
    assert sorted(llm["llm_id"] for llm in route["llms"]) == ["llm-1", "llm-2"]
    assert client.get("/llms").json()["llms"][0]["llm_id"] == "llm-0"


def test_a_second_attempt_is_ranked_by_the_first(make_client: MakeClient, tmp_path: Path) -> None:
    router = make_router("svd", n_factors=2).fit(planted_dataset())
    best = router.rank([PROMPT]).names[0][0]
    tried = {"prompt": [PROMPT], "k": 2, "tried": [{"llm": best, "score": 0.0}]}
    refused = make_client().post("/route", json=tried)
    assert refused.status_code == 422
    assert "not fitted for second attempts" in refused.json()["error"]
    expected = router.rank([PROMPT], 2, tried={best: 0.0})  # learns what attempts say of each other
    router.save(tmp_path / "router")
    client = make_client(router_dir=tmp_path / "router")
    (route,) = client.post("/route", json=tried).json()["routes"]
    assert [llm["llm_id"] for llm in route["llms"]] == expected.names[0]
    for wrong in ([], [{"llm": best, "score": 2}], [{"llm": best}], [{"llm": "nobody", "score": 0}]):
        assert client.post("/route", json={**tried, "tried": wrong}).status_code == 422


def test_the_root_says_where_the_documentation_is(make_client: MakeClient) -> None:
    client = make_client()
    start = client.get("/").json()
    assert start["service"] == "recroute"
    assert "text/html" in client.get(start["docs"]).headers["content-type"]
    assert client.get(start["openapi"]).json()["info"]["title"] == "recroute"


def test_explain_adds_an_explanation(make_client: MakeClient) -> None:
    (route,) = make_client().post("/route", json={"prompt": PROMPT, "explain": True, "k": 2}).json()["routes"]
    explanation = route["explanation"]
    assert [llm["llm_id"] for llm in explanation["llms"]] == [llm["llm_id"] for llm in route["llms"]]
    for llm in explanation["llms"]:
        assert 0 <= llm["ci_low"] <= llm["predicted_score"] <= llm["ci_high"] <= 1
    assert explanation["task"]["probability"] > 0.5
    nearest = explanation["neighbors"][0]
    assert nearest["prompt"]
    assert set(nearest["scores"]) == {llm["llm_id"] for llm in route["llms"]}


def test_a_budget_goes_to_routers_that_weigh_cost(make_client: MakeClient, tmp_path: Path) -> None:
    router = make_router("budgeted", router="svd", budget=2.0).fit(planted_dataset(costs=True))
    router.save(tmp_path / "budgeted")
    client = make_client(router_dir=tmp_path / "budgeted")
    costs = {}
    for budget in (1.1, 2.0):
        answer = client.post("/route", json={"prompt": PROMPT, "budget": budget})
        (route,) = answer.json()["routes"]
        expected = router.with_target(budget=budget).rank([PROMPT])  # type: ignore[attr-defined]
        assert route["llm_id"] == expected.names[0][0]
        costs[budget] = route["llms"][0]["predicted_cost"]
    assert costs[1.1] <= costs[2.0]
    refused = client.post("/route", json={"prompt": PROMPT, "budget": 0.01})
    assert refused.status_code == 422
    assert "below the cheapest choice" in refused.json()["error"]
    plain = make_client().post("/route", json={"prompt": PROMPT, "budget": 1})
    assert "has no cost curve" in plain.json()["error"]


def test_a_score_becomes_a_record(make_client: MakeClient, router_dir: Path, tmp_path: Path) -> None:
    client = make_client(feedback_dir=tmp_path)
    (route,) = client.post("/route", json={"prompt": PROMPT, "k": 2}).json()["routes"]
    given = {"decision_id": route["decision_id"], "score": 0.5, "cost": 0.01}
    assert client.post("/feedback", json=given).json() == {"decision_id": route["decision_id"], "duplicate": False}
    (record,) = lines(tmp_path / "records.jsonl")
    assert record.pop("time")
    router = load_router(router_dir)
    assert router.encoder_ is not None
    np.testing.assert_array_equal(np.float32(record.pop("vector")), router.encoder_.encode([PROMPT])[0])
    assert record == {
        "decision_id": route["decision_id"],
        "instance_id": instance_id(PROMPT),
        "llm_id": route["llm_id"],
        "score": 0.5,
        "cost": 0.01,
        "propensity": None,
        "encoder": router.encoder_.name,
    }
    assert len(Records(read_records(tmp_path / "records.jsonl"))) == 1
    assert PROMPT not in (tmp_path / "decisions.jsonl").read_text("utf8")


def test_prompts_are_kept_only_if_asked_for(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(feedback_dir=tmp_path, log_prompts=True)
    (route,) = client.post("/route", json={"prompt": PROMPT}).json()["routes"]
    client.post("/feedback", json={"decision_id": route["decision_id"], "score": 1})
    assert [record["prompt"] for record in lines(tmp_path / "records.jsonl")] == [PROMPT]


def test_a_preference_becomes_a_battle(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(feedback_dir=tmp_path)
    (route,) = client.post("/route", json={"prompt": PROMPT}).json()["routes"]
    battle = {"llm_a": "llm-0", "llm_b": "llm-3", "outcome": "loss"}
    given = {"decision_id": route["decision_id"], "preference": battle}
    assert client.post("/feedback", json=given).status_code == 200
    table = pair_table(read_records(tmp_path / "preferences.jsonl"), "preferences.jsonl")
    assert table.rows() == [(instance_id(PROMPT), "llm-0", "llm-3", 0.0)]
    given["preference"] = {**battle, "llm_b": "nobody"}
    assert "unknown llm 'nobody'" in client.post("/feedback", json=given).json()["error"]


def test_the_same_feedback_again_is_kept_once_and_other_feedback_refused(
    make_client: MakeClient, tmp_path: Path
) -> None:
    client = make_client(feedback_dir=tmp_path)
    (route,) = client.post("/route", json={"prompt": PROMPT, "k": 2}).json()["routes"]
    given = {"decision_id": route["decision_id"], "score": 1.0}
    assert [client.post("/feedback", json=given).json()["duplicate"] for _ in range(2)] == [False, True]
    other = client.post("/feedback", json={**given, "score": 0.0})
    assert other.status_code == 409
    assert "already has a different score" in other.json()["error"]
    assert len(lines(tmp_path / "records.jsonl")) == 1
    battle = {"llm_a": "llm-0", "llm_b": "llm-3", "outcome": "win"}
    preference = {"decision_id": route["decision_id"], "preference": battle}
    assert client.post("/feedback", json=preference).json()["duplicate"] is False


def test_feedback_on_another_named_llm_has_no_propensity(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(feedback_dir=tmp_path, explore="epsilon:0.5", seed=3)
    (route,) = client.post("/route", json={"prompt": PROMPT, "k": 2}).json()["routes"]
    given = {"decision_id": route["decision_id"], "score": 1.0}
    not_named = client.post("/feedback", json={**given, "llm_id": "nobody"})
    assert not_named.status_code == 422
    assert client.post("/feedback", json={**given, "llm_id": route["llms"][1]["llm_id"]}).status_code == 200
    assert [record["propensity"] for record in lines(tmp_path / "records.jsonl")] == [None]


def test_decisions_and_feedback_outlive_a_restart(make_client: MakeClient, router_dir: Path, tmp_path: Path) -> None:
    with TestClient(create_app(ServeSettings(router_dir=router_dir, feedback_dir=tmp_path))) as client:
        body = client.post("/route", json={"prompt": [PROMPT, "other"]}).json()
        first, second = (route["decision_id"] for route in body["routes"])
        client.post("/feedback", json={"decision_id": first, "score": 1.0})
    with (tmp_path / "records.jsonl").open("a", encoding="utf8") as file:
        file.write('{"decision_id":"torn')
    with (tmp_path / "decisions.jsonl").open("a", encoding="utf8") as file:
        file.write("{")
    client = make_client(feedback_dir=tmp_path)
    assert client.post("/feedback", json={"decision_id": first, "score": 1.0}).json()["duplicate"] is True
    assert client.post("/feedback", json={"decision_id": second, "score": 0.0}).json()["duplicate"] is False
    assert [record["score"] for record in lines(tmp_path / "records.jsonl")] == [1.0, 0.0]
    assert len(lines(tmp_path / "decisions.jsonl")) == 2


@pytest.mark.parametrize("decision_id", ["0-0123456789abcdef", "fffffffffffff-0123456789abcdef"])
def test_an_unknown_decision_is_not_found(make_client: MakeClient, tmp_path: Path, decision_id: str) -> None:
    client = make_client(feedback_dir=tmp_path)
    client.post("/route", json={"prompt": PROMPT})
    assert client.post("/feedback", json={"decision_id": decision_id, "score": 1.0}).status_code == 404


def test_without_a_folder_there_is_no_feedback(make_client: MakeClient) -> None:
    answer = make_client().post("/feedback", json={"decision_id": "0-0123456789abcdef", "score": 1.0})
    assert answer.status_code == 409
    assert answer.json()["error"] == "this server keeps no feedback; start it with --feedback DIR"


def test_metrics_count_requests_choices_and_feedback(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(feedback_dir=tmp_path)
    (route,) = client.post("/route", json={"prompt": PROMPT}).json()["routes"]
    client.post("/feedback", json={"decision_id": route["decision_id"], "score": 1.0})
    client.get("/no/such/path")
    client.post("/route", json={})
    text, version = client.get("/metrics").text, client.get("/healthz").json()["router_version"]
    for line in (
        'recroute_http_requests_total{path="/route",status="200"} 1.0',
        'recroute_http_requests_total{path="/route",status="422"} 1.0',
        'recroute_http_requests_total{path="other",status="404"} 1.0',
        'recroute_http_request_seconds_count{path="/route"} 2.0',
        "recroute_routing_seconds_count 1.0",
        f'recroute_chosen_llm_total{{llm="{route["llm_id"]}"}} 1.0',
        'recroute_feedback_total{duplicate="false",kind="score"} 1.0',
        f'recroute_router_info{{n_llms="6",name="svd",version="{version}"}} 1.0',
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize("named", [None, "llm-4"])
def test_an_answer_names_its_cost_and_that_of_the_reference(
    make_client: MakeClient, tmp_path: Path, named: str | None
) -> None:
    router = make_router("budgeted", router="svd", budget=2.0).fit(planted_dataset(costs=True))
    router.save(tmp_path / "router")
    client = make_client(router_dir=tmp_path / "router", reference=named)
    prompts = [PROMPT, "compile the program number 7"]
    routes = client.post("/route", json={"prompt": prompts, "k": 2}).json()["routes"]
    expected = predict_reference(router, prompts, named)
    assert expected is not None
    assert [route["reference"]["llm_id"] for route in routes] == [named or expected.llm_id] * 2
    np.testing.assert_allclose([r["reference"]["predicted_cost"] for r in routes], expected.predicted_cost, rtol=1e-5)
    sums = {name: float(value) for name, value in re.findall(r"^(recroute_\w+_cost_total) (\S+)$", text(client), re.M)}
    assert sums == {
        "recroute_predicted_cost_total": pytest.approx(sum(route["llms"][0]["predicted_cost"] for route in routes)),
        "recroute_reference_cost_total": pytest.approx(sum(route["reference"]["predicted_cost"] for route in routes)),
    }


def text(client: TestClient) -> str:
    return client.get("/metrics").text


def test_a_router_that_cannot_predict_the_reference_is_refused(make_client: MakeClient, tmp_path: Path) -> None:
    folder = tmp_path / "router"
    data = planted_dataset(costs=True)
    make_router("budgeted", router="svd", budget=2.0).fit(data).save(folder)
    with pytest.raises(UnknownNameError, match="nobody"):
        make_client(router_dir=folder, reference="nobody")
    client = make_client(router_dir=folder, reference="llm-4")
    before = client.get("/healthz").json()["router_version"]
    make_router("budgeted", router="svd", budget=2.0).fit(data.take_llms([0, 1, 2])).save(folder)
    refused = client.post("/reload")
    assert refused.status_code == 409
    assert "unknown llm 'llm-4'" in refused.json()["error"]
    assert client.get("/healthz").json()["router_version"] == before
    with pytest.raises(RouterError, match="predicts no costs"):
        make_client(reference="llm-4")
