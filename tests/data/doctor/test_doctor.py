"""What the doctor finds, and what it leaves alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recroute.data import Dataset, InteractionMatrix, Precomputed, write_dataset
from recroute.data.doctor import Finding, diagnose, diagnose_path, rasch_headroom
from recroute.data.sources import simulate

NAN = float("nan")


def dataset(scores: Any, *, tasks: list[str] | None = None, **columns: list[Any]) -> Dataset:
    block = np.asarray(scores, dtype=np.float32)
    n, m = block.shape
    instances = {"instance_id": [f"q{i}" for i in range(n)], "task": tasks or ["all"] * n, **columns}
    llms = pl.DataFrame({"llm_id": [f"m{j}" for j in range(m)]})
    return Dataset("made", InteractionMatrix.from_dense(block), pl.DataFrame(instances), llms)


def findings(data: Dataset) -> dict[str, Finding]:
    return {finding.check: finding for finding in diagnose(data).findings}


@pytest.fixture(scope="module")
def pool() -> Dataset:
    return simulate(n_llms=60, n_instances=400, seed=1)


# -- twins


def test_twins_are_counted(pool: Dataset) -> None:
    scores = pool.interactions.dense().copy()
    scores[:, 1] = scores[:, 0]
    scores[:, 3] = scores[:, 2]
    scores[:4, 3] = 1 - scores[:4, 3]  # one answer in a hundred
    scores[:, 4] = 1
    scores[:, 5:7] = 0
    scores[0, 5:7] = 1  # two that solve next to nothing tell nothing of each other
    found = findings(replace(pool, interactions=InteractionMatrix.from_dense(scores)))
    ids = pool.llm_ids.ids
    assert found["constant_llm"].llms == (ids[4],)
    assert set(found["identical_llms"].llms) < {ids[0], ids[1]}
    assert found["identical_llms"].values["n_distinct"] == 59
    assert found["near_identical_llms"].values["n_distinct"] == 58


def test_relatives_share_more_than_task_and_difficulty() -> None:
    rng = np.random.default_rng(0)
    tasks = np.repeat(["a", "b"], 400)
    p = 1 / (1 + np.exp(-(rng.normal(size=8) - 2 * rng.normal(size=(800, 1)))))
    scores = (rng.random(p.shape) < p).astype(float)
    scores[:400, 2:5] = 0  # three that fail at one task, alike only in that
    scores[:, 6] = (rng.random(800) < 0.02) * scores[:, 5]  # two weak ones
    scores[:, 7] = (rng.random(800) < 0.02) * scores[:, 4]
    assert not set(findings(dataset(scores, tasks=tasks.tolist()))) & {"related_llms", "near_identical_llms"}
    scores[:, 1] = np.where(rng.random(800) < 0.1, scores[:, 1], scores[:, 0])  # a fine-tune
    (group,) = findings(dataset(scores, tasks=tasks.tolist()))["related_llms"].values["groups"]
    assert sorted(group) == ["m0", "m1"]


def test_scores_constant_in_a_task_that_cannot_be_skill() -> None:
    rng = np.random.default_rng(0)
    scores = (rng.random((200, 10)) < 0.5).astype(float)
    scores[:, 0] = rng.random(200) < 0.8
    scores[:, 1] = rng.random(200) < 0.2
    scores[:, 2] = rng.random(200) < 0.2
    scores[:100, 0], scores[:100, 1], scores[:100, 2] = 0, 1, 0  # the last may simply be too weak
    found = findings(dataset(scores, tasks=["a"] * 100 + ["b"] * 100))["constant_in_task"]
    assert found.values == {"a": {"0": ["m0"], "1": ["m1"]}}


# -- prompts and embeddings


def test_prompts_and_embeddings() -> None:
    rng = np.random.default_rng(0)
    n = 40
    prompts = ["x" * 250 + f" question {i}" for i in range(n)]
    prompts[1] = prompts[0].upper()
    data = dataset(rng.random((n, 3)) < 0.5, prompt=prompts, split=["test"] + ["train"] * (n - 1), tasks=["t"] * n)
    vectors = rng.normal(size=(n, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[2], vectors[4], vectors[6] = 0, vectors[3], 2 * vectors[5]
    found = findings(data.with_embeddings(vectors, Precomputed("some")))
    assert found["duplicate_prompts"].instances == ("q0", "q1")
    assert (found["leak"].severity, found["leak"].instances) == ("error", ("q1",))
    assert found["zero_embeddings"].instances == ("q2",)
    assert found["shared_embeddings"].instances == ("q3", "q4")
    assert "embedding_length" in found
    prompts[1] = "x" * 250 + " another"
    again = findings(dataset(rng.random((n, 3)) < 0.5, prompt=prompts, tasks=["t"] * n))
    assert again["shared_prefix"].values == {"t": 251}  # the space after the shared text too
    assert "duplicate_prompts" not in again


# -- missing cells, instances, tasks


def test_missing_by_task_is_told_from_missing_by_chance() -> None:
    rng = np.random.default_rng(0)
    scores = (rng.random((200, 20)) < 0.5).astype(float)
    by_chance, by_task = scores.copy(), scores.copy()
    by_chance[rng.random(scores.shape) < 0.2] = NAN
    by_task[:100, :8] = NAN
    tasks = ["a"] * 100 + ["b"] * 100
    assert "as if by chance" in findings(dataset(by_chance, tasks=tasks))["missing"].evidence
    found = findings(dataset(by_task, tasks=tasks))["missing"]
    assert found.severity == "warning"
    assert found.values["share_in_whole_tasks"] == 1.0
    assert found.values["n_complete_llms"] == 12


def test_few_missing_cells_of_one_task_and_a_few_instances() -> None:
    scores = (np.random.default_rng(0).random((1000, 20)) < 0.5).astype(float)
    scores[:5, 1:] = NAN
    found = findings(dataset(scores, tasks=["a"] * 200 + ["b"] * 800))["missing"]
    assert found.severity == "note"
    assert "by task (from 97.6% of the cells in a to 100.0%)" in found.evidence
    assert "by instance (5 of 1,000 instances" in found.evidence
    scores[:, 3] = NAN
    scores[0, 3] = 1
    found = findings(dataset(scores, tasks=["a"] * 200 + ["b"] * 800))["missing"]
    assert "by LLM (0% of the instances for m3, which has 92% of the missing cells, up to 100%)" in found.evidence
    assert found.severity == "warning"


def test_task_that_hardly_anybody_solves() -> None:
    scores = (np.random.default_rng(0).random((200, 9)) < 0.5).astype(float)
    scores[:60] = 0
    found = findings(dataset(scores, tasks=["a"] * 100 + ["b"] * 100))["unsolved"]
    assert found.severity == "warning"
    assert "more than half of a (60%)" in found.evidence


def test_missing_by_date() -> None:
    rng = np.random.default_rng(0)
    scores = (rng.random((100, 12)) < 0.5).astype(float)
    for j in range(12):
        scores[: 6 * j, j] = NAN
    data = dataset(scores)
    dated = replace(data, llms=data.llms.with_columns(date=pl.Series([f"2024-{j + 1:02d}-01" for j in range(12)])))
    assert findings(dated)["missing"].values["date_correlation_LLM"] == -1.0


def test_instances_and_small_tasks() -> None:
    found = findings(dataset([[1, 1], [0, 0], [1, 0], [NAN, NAN]], tasks=["a", "a", "a", "b"]))
    assert found["always_solved"].instances == ("q0",)
    assert found["unsolved"].instances == ("q1",)
    assert found["unobserved"].instances == ("q3",)
    assert found["small_tasks"].values["tasks"] == ["a (3)", "b (1)"]


# -- scales


@pytest.mark.parametrize(
    ("scores", "words"),
    [([0, 87.5, 50], "percent"), ([-0.1, -3, -2], "log-probabilities"), ([1, 10, 7], "a scale of their own")],
)
def test_scores_that_cannot_be_read_are_named(tmp_path: Path, scores: list[float], words: str) -> None:
    frame = pl.DataFrame({"instance_id": ["a", "b", "c"], "llm_id": ["m"] * 3, "score": [float(s) for s in scores]})
    frame.write_parquet(tmp_path / "r.parquet")
    (found,) = diagnose_path(tmp_path / "r.parquet").findings
    assert (found.check, found.severity) == ("score_scale", "error")
    assert words in found.evidence


def test_inverted_task_and_percent_of_percent(pool: Dataset) -> None:
    scores = pool.interactions.dense().copy()
    task = pool.tasks[0]
    inverted = scores.copy()
    inverted[pool.tasks == task] = 1 - inverted[pool.tasks == task]
    found = findings(replace(pool, interactions=InteractionMatrix.from_dense(inverted)))
    assert list(found["inverted_scores"].values) == [str(task)]
    assert "inverted_scores" not in findings(pool)
    twice = findings(replace(pool, interactions=InteractionMatrix.from_dense(scores / 100)))
    assert twice["score_scale"].severity == "error"


@pytest.mark.parametrize(
    ("costs", "words"),
    [(lambda rng: rng.integers(50, 900, 60), "token counts"), (lambda rng: np.tile([0.2, 0.7, 3], 20), "prices")],
)
def test_costs_of_another_kind(costs: Any, words: str) -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.divmod(np.arange(60), 3)
    matrix = InteractionMatrix.from_coordinates(rows, columns, rng.random(60), (20, 3), costs(rng).astype(np.float32))
    found = findings(replace(dataset(rng.random((20, 3))), interactions=matrix))
    assert words in found["cost_unit"].evidence


# -- headroom


def rasch_scores(rng: np.random.Generator, n: int, ability: np.ndarray, tilt: np.ndarray | float = 0.0) -> np.ndarray:
    logit = ability[None, :] - 1.5 * rng.normal(size=(n, 1)) + tilt
    return (rng.random(logit.shape) < 1 / (1 + np.exp(-logit))).astype(float)


@pytest.mark.parametrize("seed", range(4))
def test_llms_that_differ_in_ability_alone_leave_nothing_to_route(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rasch_scores(rng, 900, rng.normal(size=20))
    found = findings(dataset(scores, tasks=["a", "b", "c"] * 300))["headroom"]
    assert found.severity == "warning"
    assert found.evidence.startswith("no sign of anything to route")


def test_llms_that_are_good_at_some_tasks_leave_something(pool: Dataset) -> None:
    rng = np.random.default_rng(0)
    tasks = np.repeat(["a", "b", "c"], 300)
    tilt = 1.5 * rng.normal(size=(3, 20))[np.unique(tasks, return_inverse=True)[1]]
    found = findings(dataset(rasch_scores(rng, 900, rng.normal(size=20), tilt), tasks=tasks.tolist()))["headroom"]
    assert found.severity == "note"
    assert findings(pool)["headroom"].severity == "note"


def test_interval_of_luck_holds_what_luck_makes() -> None:
    inside = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        data = dataset(rasch_scores(rng, 300, rng.normal(size=15)), tasks=["a", "b"] * 150)
        row = next(row for row in rasch_headroom(data, seed, n_draws=100) if row.kind == "task" and row.pool_size == 15)
        inside += row.luck_low <= row.observed <= row.luck_high
    assert inside >= 25  # 95% of 30 is 28.5; 25 or fewer has probability .01


def test_same_seed_same_diagnosis_and_write_back(tmp_path: Path, pool: Dataset) -> None:
    assert diagnose(pool, seed=3).to_dict() == diagnose(pool, seed=3).to_dict()
    write_dataset(pool, tmp_path / "d")
    assert diagnose_path(tmp_path / "d", seed=3).to_dict()["findings"] == diagnose(pool, seed=3).to_dict()["findings"]


def test_a_notebook_shows_every_finding_escaped(pool: Dataset) -> None:
    scores = pool.interactions.dense().copy()
    scores[:, 1] = scores[:, 0]
    found = diagnose(replace(pool, interactions=InteractionMatrix.from_dense(scores), name="<b>made</b>"))
    shown = found._repr_html_()
    assert "&lt;b&gt;made" in shown
    assert "<b>made" not in shown
    assert "SIMULATED DATA" in shown
    assert all(f">{finding.check}</td>" in shown for finding in found.findings)


def test_nan_in_a_table_is_counted_though_the_table_can_be_read(tmp_path: Path) -> None:
    rows = "\n".join(f"q{row},{llm},{'nan' if row == 3 and llm == 'a' else '0'}" for row in range(9) for llm in "ab")
    (tmp_path / "t.csv").write_text(f"instance_id,llm_id,score\n{rows}\n", "utf8")
    first, *others = diagnose_path(tmp_path / "t.csv").findings
    assert (first.check, first.llms) == ("nan_scores", ("a",))
    assert "nan_scores" not in [finding.check for finding in others]
