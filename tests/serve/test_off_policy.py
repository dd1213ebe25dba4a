"""What is served, scored and logged tells what another policy would have scored."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient

import recroute as rr
from recroute.errors import DataError
from recroute.offpolicy.result import LOGGED
from recroute.routers import Router
from recroute.serve.explore import Epsilon, Thompson
from recroute.testing import planted_dataset

N = 600
MakeClient = Callable[..., TestClient]


def serve_and_score(client: TestClient, prompts: list[str], scores: np.ndarray) -> None:
    """Route every prompt and say what the chosen LLM scored on it."""
    for start in range(0, len(prompts), 240):
        routes = client.post("/route", json={"prompt": prompts[start : start + 240]}).json()["routes"]
        for i, route in enumerate(routes, start):
            score = float(scores[i, int(route["llm_id"].removeprefix("llm-"))])
            answer = client.post("/feedback", json={"decision_id": route["decision_id"], "score": score})
            assert answer.status_code == 200


@pytest.mark.parametrize(("explore", "log_prompts"), [("epsilon:0.6", False), ("thompson:200", True)])
def test_the_value_of_another_policy_is_recovered(
    make_client: MakeClient, tmp_path: Path, explore: str, log_prompts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spread = np.full((1, 1), 0.8, dtype=np.float32)  # wide: every LLM is chosen now and then
    monkeypatch.setattr(
        Router,
        "score_std",
        lambda self, x, llms=None, reducible=False: np.tile(spread, (len(x), 6 if llms is None else len(llms))),
    )
    data = planted_dataset(n_instances=N, seed=5)
    scores = data.interactions.dense()
    client = make_client(feedback_dir=tmp_path, explore=explore, seed=7, log_prompts=log_prompts)
    assert data.prompts is not None
    serve_and_score(client, list(data.prompts), scores)
    logs = rr.read_logs(tmp_path)
    assert len(logs) == N
    other = rr.make_router("svd", n_factors=1, seed=1).fit(planted_dataset(seed=2, noise=0.3))
    targets: dict[str, Router | str] = {"svd": rr.load_router(client.app.state.service.live.folder)}  # type: ignore[attr-defined]
    if log_prompts:
        targets["other"] = other  # of another encoder, so it needs the texts
    found = rr.off_policy(logs, targets, reward_model="best_single")  # type: ignore[arg-type]
    rows = found.rows.filter(pl.col("metric") == "mean_score")
    for name, target in targets.items():
        assert isinstance(target, Router)
        chosen = target.rank(data).llm_index[:, 0]
        truth = scores[np.arange(N), chosen].mean()
        for row in rows.filter(pl.col("router") == name).iter_rows(named=True):
            assert row["ci_low"] < truth < row["ci_high"], (name, row["estimator"])
            assert row["ci_high"] - row["ci_low"] < 0.3
        logged = rows.filter(pl.col("router") == LOGGED)["ci_high"][0]
        assert name != "svd" or truth > logged  # exploring costs: what is recovered is not the logged choices' value


def test_a_prompt_may_be_routed_again(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(feedback_dir=tmp_path, explore="epsilon:0.5")
    serve_and_score(client, ["multiply"] * 30, np.ones((30, 6)))
    with (tmp_path / "records.jsonl").open("a", encoding="utf8") as file:
        file.write('{"decision_id":"0-1')  # being written
    logs = rr.read_logs(tmp_path / "records.jsonl")
    assert len(logs) == 30
    assert logs.dataset().embeddings is not None
    assert rr.off_policy(logs, ["svd"]).rows.height


def test_choices_that_were_certain_are_no_logs(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(feedback_dir=tmp_path)
    serve_and_score(client, ["multiply"] * 3, np.ones((3, 6)))
    with pytest.raises(DataError, match="serve with explore"):
        rr.read_logs(tmp_path)


@pytest.mark.parametrize("explorer", [Epsilon(0.4), Thompson(64)])
def test_choices_come_as_often_as_their_propensities_say(explorer: Epsilon | Thompson) -> None:
    """Over many draws the mean of 1/propensity on an LLM's choices is 1, and nothing forbidden is chosen."""
    n, rng = 20_000, np.random.default_rng(0)
    predicted = np.tile(np.float32([0.9, 0.6, 0.5, 0.8]), (n, 1))
    allowed = np.tile([True, True, True, False], (n, 1))
    spread = np.full_like(predicted, 0.3)
    chosen, propensity = explorer.choose(predicted, np.zeros(n, dtype=int), allowed, lambda: spread, rng)
    for llm in range(3):
        weight = np.where(chosen == llm, 1 / propensity, 0)
        assert abs(weight.mean() - 1) < 4 * weight.std() / np.sqrt(n)
    assert not (chosen == 3).any()
    assert (chosen == 0).mean() > 0.5
    assert (propensity > 0).all()


def test_thompson_does_not_draw_who_cannot_win() -> None:
    predicted, spread = np.float32([[0.9, 0.1]]), np.full((1, 2), 0.05, dtype=np.float32)
    allowed = np.ones((1, 2), dtype=bool)
    chosen, propensity = Thompson(10).choose(
        predicted, np.array([0]), allowed, lambda: spread, np.random.default_rng(0)
    )
    assert (chosen[0], propensity[0]) == (0, 1.0)


def test_exploration_keeps_to_the_pool_and_to_the_budget(make_client: MakeClient, tmp_path: Path) -> None:
    router = rr.make_router("budgeted", router="svd", budget=1.3).fit(planted_dataset(costs=True))
    router.save(tmp_path / "router")
    client = make_client(router_dir=tmp_path / "router", feedback_dir=tmp_path / "fb", explore="epsilon:1", seed=0)
    prompts = [f"multiply the integers number {i}" for i in range(200)]
    routes = client.post("/route", json={"prompt": prompts}).json()["routes"]
    assert {route["llm_id"] for route in routes} == {"llm-0", "llm-1", "llm-2"}  # the others cost twice as much
    assert all(route["propensity"] == pytest.approx(1 / 3) for route in routes)
    allowed = ["llm-1", "llm-4", "llm-5"]
    routes = client.post("/route", json={"prompt": prompts, "llms": allowed, "k": 2}).json()["routes"]
    assert {llm["llm_id"] for route in routes for llm in route["llms"]} <= set(allowed)
    assert all(len({llm["llm_id"] for llm in route["llms"]}) == 2 for route in routes)


def test_the_same_seed_explores_alike(make_client: MakeClient, tmp_path: Path) -> None:
    chosen = []
    for name in ("a", "b"):
        client = make_client(feedback_dir=tmp_path / name, explore="epsilon:0.9", seed=4)
        routes = client.post("/route", json={"prompt": ["multiply"] * 50}).json()["routes"]
        chosen.append([route["llm_id"] for route in routes])
    assert chosen[0] == chosen[1]


@pytest.mark.parametrize("text", ["epsilon", "epsilon:0", "epsilon:2", "thompson:1", "thompson:x", "softmax", ""])
def test_other_explorations_are_refused(make_client: MakeClient, tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="is none of"):
        make_client(feedback_dir=tmp_path, explore=text)
