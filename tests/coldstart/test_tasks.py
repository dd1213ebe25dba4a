"""Cold start of tasks: what a few prompts of a new task gain."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recroute as rr
from recroute.cli.app import run
from recroute.coldstart.tasks import NewTask, feedback_of, routed
from recroute.coldstart.tasks_result import TaskColdStart
from recroute.data import Dataset, InteractionMatrix, write_dataset
from recroute.data.sources import simulate
from recroute.routers import make_router
from recroute.splits import holdout_splits

ANCHORS = (0, 4, 12)


@pytest.fixture(scope="module")
def world() -> Dataset:
    """Three tasks; on "code" the LLMs that are best elsewhere always fail, and the others always succeed."""
    data = simulate(n_instances=260, n_llms=12, seed=4)
    kept = np.flatnonzero(np.isin(data.tasks, ["arithmetic", "code", "law"]))
    data = data.take_instances(kept)
    scores = data.interactions.dense()
    code = data.tasks == "code"
    best = scores[~code].mean(axis=0)
    scores[code] = best < np.median(best)
    return replace(data, interactions=InteractionMatrix.from_dense(scores))


@pytest.fixture(scope="module")
def found(world: Dataset) -> TaskColdStart:
    result = rr.coldstart(world, ["ridge"], holdout="task", anchors=ANCHORS, n_seeds=2)
    assert isinstance(result, TaskColdStart)
    return result


def value(found: TaskColdStart, router: str, strategy: str | None, k: int | None, group: str, metric: str) -> float:
    rows = found.pooled(metric, router=router, group=group)
    rows = rows.filter(pl.col("strategy").eq_missing(strategy), pl.col("n_anchors").eq_missing(k))
    (number,) = rows["value"]
    return float(number)


def test_the_best_llm_of_a_new_task_is_found_by_a_few_prompts(found: TaskColdStart) -> None:
    at = {k: value(found, "best_single", "refresh", k, "task code", "mean_score") for k in ANCHORS}
    assert (at[0], at[4], at[12]) == (0, 1, 1)  # the best LLM elsewhere always fails
    assert value(found, "best_single", "task known", None, "task code", "mean_score") == 1


def test_a_refresh_improves_routing_of_a_new_task(found: TaskColdStart) -> None:
    before, _, after = (value(found, "ridge", "refresh", k, "task code", "mean_score") for k in ANCHORS)
    assert before < 0.5
    assert after > before + 0.25


def test_the_mean_is_over_tasks_and_leads_are_differences(found: TaskColdStart) -> None:
    tasks = [f"task {name}" for name in ("arithmetic", "code", "law")]
    for k in ANCHORS:
        of_task = [value(found, "ridge", "refresh", k, task, "mean_score") for task in tasks]
        mean = value(found, "ridge", "refresh", k, "mean", "mean_score")
        assert mean == pytest.approx(np.mean(of_task))
        single = value(found, "best_single", "refresh", k, "mean", "mean_score")
        lead = value(found, "ridge", "refresh", k, "mean", "lead_over_best_single")
        assert lead == pytest.approx(mean - single)
    assert value(found, "oracle", None, None, "mean", "mean_score") >= mean


def test_nothing_of_the_task_is_in_training_and_halves_are_apart(world: Dataset) -> None:
    for parts in holdout_splits(world, "task"):
        task = NewTask.of(world, parts, "auto")
        given, judged = set(task.given.instance_ids), set(task.parts.test.instance_ids)
        assert not given & judged
        assert given | judged == set(parts.test.instance_ids)
        assert not set(task.parts.train.instance_ids) & (given | judged)
        assert set(task.full.train.instance_ids) == set(task.parts.train.instance_ids) | given


def test_all_scores_of_the_prompts_are_fed_back(world: Dataset) -> None:
    parts = next(iter(holdout_splits(world, "task")))
    task = NewTask.of(world, parts, "auto")
    router = make_router("ridge").fit(task.parts.train)
    feedback = feedback_of(router, task.given.take_instances(np.arange(5)))
    assert feedback.n_records == 5 * world.n_llms
    assert routed(router.refresh(feedback), task.parts.test).shape == (task.parts.test.n_instances,)


def test_the_document_and_the_picture(found: TaskColdStart, tmp_path: Path) -> None:
    found.write_html(tmp_path / "tasks.html")
    html = (tmp_path / "tasks.html").read_text("utf8")
    assert "mean score on a new task" in html
    assert "each of 3 tasks is left out of training in turn" in html
    assert found.plot().get_xlabel() == "prompts of the new task that were given"
    assert "after 12 prompts of a new task: ridge - best_single = " in found.sentences()[1]


def test_the_command_and_tasks_that_are_too_small(world: Dataset, tmp_path: Path) -> None:
    write_dataset(world, tmp_path / "data")
    command = ["coldstart", str(tmp_path / "data"), "--router", "ridge", "--holdout", "task", "--seeds", "1", "--quiet"]
    sizes = dict(zip(*np.unique(world.tasks, return_counts=True), strict=True))
    most = min(sizes.values()) // 2 + 1
    assert run([*command, "--anchors", f"0,{most}", "--json", str(tmp_path / "a.json")]) == 0
    result = json.loads((tmp_path / "a.json").read_text("utf8"))
    assert {row["router"] for row in result["rows"]} == {"ridge", "best_single", "random", "oracle"}
    assert any(f"left out, with fewer than {2 * most} prompts" in note for note in result["notes"])
    assert run([*command, "--anchors", "0,500"]) == 2
